"""Batches as the API takes and shows them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from gateway.schemas import JobError
from shared.batch_lines import BatchDefaults
from shared.batches import BatchState
from shared.jobs import JobState

_EXAMPLE: JsonDict = {
    "name": "New Year 2027",
    "template": "Dear {name}, happy new year!",
    "defaults": {"format": "mp3", "emotion": "happy"},
}


class BatchOptions(BaseModel):
    """What holds for all lines of a batch."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [_EXAMPLE]})

    name: str = Field(default="", max_length=200, description="What you call it.")
    template: str = Field(
        default="",
        max_length=100_000,
        description="Spoken for each line without a text of its own, with the line's `variables` in place of {names}; "
        "{{ and }} are braces.",
    )
    defaults: BatchDefaults = Field(default_factory=BatchDefaults, description="For fields that a line does not say.")


class BatchUpload(BatchOptions):
    """A batch whose file was uploaded before."""

    source_key: str = Field(min_length=1, max_length=1024, description="Of the file, as POST /v1/uploads has told it.")


class BatchJobs(BaseModel):
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int


class BatchProgress(BaseModel):
    lines: int = Field(description="Of the file, with blank ones.")
    lines_read: int = Field(description="So many became a job or an error.")
    errors: int = Field(description="Lines that are no jobs, or whose job a quota kept from another try: GET …/errors.")
    jobs: BatchJobs = Field(description="How many are in each state.")


class BatchLinks(BaseModel):
    self: str
    jobs: str
    errors: str
    manifest: str
    audio: str
    events: str


class BatchStatus(BaseModel):
    """A batch as its owner sees it."""

    id: str
    name: str
    state: BatchState
    progress: BatchProgress
    eta_seconds: float | None = Field(
        description="Until it is over, by the bulk lane's measured speed, if others did not use it; null: not known."
    )
    created_at: datetime
    bytes: int = Field(description="Of the file.")
    sha256: str
    template: str
    defaults: dict[str, Any]
    error: JobError | None = Field(description="Why the file could not be read to its end.")
    links: BatchLinks


class BatchPage(BaseModel):
    batches: list[BatchStatus]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last.")


class LineResult(BaseModel):
    """What became of a line."""

    line: int = Field(description="In the file; the first is 1.")
    custom_id: str
    job_id: str | None = Field(description="null if it did not become a job.")
    state: JobState | Literal["rejected"]
    file: str | None = Field(description="Its name in audio.zip.")
    audio: str | None = Field(description="At this gateway.")
    key: str | None = Field(description="In the bucket, for who may read that.")
    bytes: int | None
    seconds: float | None
    format: str | None
    sha256: str | None
    warnings: list[str] = Field(description="What was not spoken as it was written.")
    error: JobError | None


class LinePage(BaseModel):
    lines: list[LineResult]
    next_cursor: int | None = Field(description="Pass as `cursor` for the next page; null on the last so far.")


class BatchEvent(BaseModel):
    """A change of one job of a batch, or of the batch as a whole."""

    job_id: str | None = Field(default=None, description="null: the batch as a whole.")
    state: str
    error: JobError | None = None
    progress: BatchProgress | None = None
