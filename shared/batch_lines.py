"""What a batch may say: its options, and each of its lines."""

import json
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError

from shared import checking
from shared.batches import Batch
from shared.checking import Offer
from shared.errors import InvalidLine, JobError, TextTwice, UnknownVariable
from shared.job_request import SpeechFields, code_of
from shared.jobs import Job, Lane, SpeechRequest
from shared.new_job import new_job
from shared.templates import filled

LONGEST_LINE_BYTES = 1024 * 1024
VariableName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class BatchDefaults(SpeechFields):
    """How all lines of a batch are spoken, but for what they say themselves."""


class BatchLine(SpeechFields):
    """A line of a batch: what is to be spoken, how, and what its owner calls it."""

    text: str | None = Field(default=None, description="What to say; without it the batch's template is spoken.")
    variables: dict[VariableName, str | int | float] = Field(
        default_factory=dict[str, str | int | float], max_length=64, description="For the batch's template."
    )
    custom_id: str = Field(default="", max_length=200, description="What you call it; results tell it again.")


@dataclass(frozen=True)
class LineError:
    """Why a line did not become a job."""

    line: int
    custom_id: str
    code: str
    message: str


class LineReader:
    """Makes jobs of a batch's lines."""

    def __init__(self, batch: Batch, offer: Offer) -> None:
        self._batch, self._offer = batch, offer
        self._default_voice = batch.terms.default_voice or str(offer.catalogue.voices[0]["id"])

    def job(self, number: int, raw: bytes, *, now: float) -> tuple[Job, SpeechRequest] | LineError:
        """Return the job of a line, or what is wrong with it."""
        custom_id = ""
        try:
            fields = _object(raw)
            custom_id = str(fields.get("custom_id", ""))[:200]
            line = BatchLine.model_validate(self._with_defaults(fields))
            text = self._text(line)
            request = checking.checked(
                text, line, self._offer, longest=self._batch.terms.longest_text, default_voice=self._default_voice
            )
        except ValidationError as error:
            return LineError(number, custom_id, *_fault(error))
        except JobError as error:
            return LineError(number, custom_id, error.code, str(error))
        return self._job(number, line, request, now=now), request

    def _with_defaults(self, fields: dict[str, Any]) -> dict[str, Any]:
        defaults = self._batch.defaults
        merged = {**defaults, **fields}
        if isinstance(metadata := fields.get("metadata"), dict):
            merged["metadata"] = {**defaults.get("metadata", {}), **metadata}
        return merged

    def _text(self, line: BatchLine) -> str:
        template = self._batch.template
        if line.text is None:
            if not template:
                raise InvalidLine("missing_field", "text: Field required, for the batch has no template")
            return filled(template, line.variables, longest=self._batch.terms.longest_text)
        if line.variables:
            if template:
                raise TextTwice
            raise UnknownVariable(sorted(line.variables), [])
        return line.text

    def _job(self, number: int, line: BatchLine, request: SpeechRequest, *, now: float) -> Job:
        batch = self._batch
        job = new_job(batch.line_job(number), request, lane=Lane.BULK, keep_seconds=batch.keep_seconds, now=now)
        return replace(
            job,
            metadata=line.metadata,
            parent=batch.id,
            tenant=batch.tenant,
            trace=batch.trace,
            custom_id=line.custom_id,
        )


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidLine("invalid_json", f"it is no JSON object: {error}") from error
    if not isinstance(found, dict):
        raise InvalidLine("invalid_json", f"it is no JSON object, but {type(found).__name__}")
    return found  # pyright: ignore[reportUnknownVariableType] - checked next, field by field


def _fault(error: ValidationError) -> tuple[str, str]:
    """Return code and sentence, by the first fault, without what the line has."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    told = "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults[:5])
    return code_of(faults[0]), told
