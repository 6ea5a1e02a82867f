"""The messages of `WS /v1/stream`, in both directions. docs/streaming.md."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from gateway.errors import job_problem
from gateway.openai_voices import voice_of
from gateway.settings import GatewaySettings
from gateway.speech import SAMPLE_RATE
from shared.audio_formats import FORMATS
from shared.checking import Offer
from shared.errors import InvalidMessage, JobError, UnsupportedSampleRate
from shared.job_request import JobRequest, SpeechFields

MOST_BYTES = 64 * 1024  # of one message


class Start(SpeechFields):
    """The first message: how all that follows is spoken, and how it is sent."""

    type: Literal["start"]
    format: Literal["pcm", "mp3", "opus", "aac", "flac", "wav"] = "pcm"  # pyright: ignore[reportIncompatibleVariableOverride] - fewer of them
    language: str | None = Field(default=None, max_length=35)
    audio: Literal["binary", "base64"] = "binary"
    wait_seconds: float = Field(default=1.0, ge=0.1, le=30)  # of the writer's silence, then what there is is spoken

    @model_validator(mode="after")
    def _at_a_rate_of_the_format(self) -> Self:
        allowed = FORMATS["wav" if self.format == "pcm" else self.format].sample_rates
        if self.rate not in allowed:
            raise UnsupportedSampleRate(self.rate, format=self.format, allowed=allowed)
        return self

    @property
    def rate(self) -> int:
        return self.sample_rate or SAMPLE_RATE

    @property
    def content_type(self) -> str:
        return f"audio/pcm;rate={self.rate}" if self.format == "pcm" else FORMATS[self.format].content_type

    def request(self, text: str, offer: Offer, settings: GatewaySettings) -> JobRequest:
        """Return what is to be spoken of the text: without loss, for it is encoded with what is beside it.

        Raises:
            JobError: a field names what is not there.
        """
        mine = {*SpeechFields.model_fields} - {"format", "sample_rate", "voice"}
        voice = voice_of(self.voice or "", self.language or "", offer, settings)
        return JobRequest(text=text, voice=voice, format="flac", **self.model_dump(include=mine))


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Text(_Plain):
    """What the writer has written next."""

    type: Literal["text"]
    text: str


class Flush(_Plain):
    """What there is, is to be spoken, whole or not; `flushed` comes when it was."""

    type: Literal["flush"]


class End(_Plain):
    """That was all."""

    type: Literal["end"]


FromClient = Start | Text | Flush | End
_FROM_CLIENT: TypeAdapter[FromClient] = TypeAdapter(Annotated[FromClient, Field(discriminator="type")])


def message_of(received: Mapping[str, Any]) -> FromClient:
    """Return what a client has sent.

    Raises:
        InvalidMessage: it is none of ours.
    """
    text = received.get("text")
    if text is None:
        raise InvalidMessage("send JSON in text messages; binary ones mean nothing here")
    try:
        return _FROM_CLIENT.validate_json(text)
    except ValidationError as error:  # its own words repeat what was sent
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        where = ((".".join(map(str, fault["loc"])), fault["msg"]) for fault in faults)
        raise InvalidMessage("; ".join(f"{name}: {message}" if name else message for name, message in where)) from None


def event(kind: str, **fields: object) -> str:
    """Return a message to the client."""
    return json.dumps({"type": kind, **fields}, ensure_ascii=False)


def trouble(kind: Literal["error", "warning"], error: JobError, **fields: object) -> str:
    """Return a message about a failure: what every other answer tells of it (RFC 9457), less the problem's type."""
    problem = json.loads(bytes(job_problem(error).body))
    return event(kind, **{name: value for name, value in problem.items() if name != "type"} | fields)
