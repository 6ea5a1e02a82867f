"""Voices of a tenant's own as the API takes and shows them."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from gateway.schemas import JobError, MissingVoice, Voice
from shared.voice_library import VoiceState

_EXAMPLE: JsonDict = {"name": "Anna", "language": "en", "consent": True}
_AGREED = "That the person whose voice it is has agreed to this use of it."

Name = Annotated[str, StringConstraints(max_length=100)]
Language = Annotated[str, StringConstraints(max_length=35, pattern=r"^$|^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
Description = Annotated[str, StringConstraints(max_length=500)]


class ClipOptions(BaseModel):
    """What is said of a clip."""

    model_config = ConfigDict(extra="forbid", strict=True)

    consent: bool = Field(default=False, description=_AGREED)


class VoiceOptions(ClipOptions):
    """What is said of a voice, besides its clip."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [_EXAMPLE]})

    name: Name = Field(default="", description="What you call it; jobs name it by its id.")
    language: Language = Field(
        default="",
        description="In which it will mostly speak, zh or en. Its preview is in en by default.",
    )
    description: Description = ""


class _Elsewhere(BaseModel):
    """A clip that is not in the request itself."""

    source_key: str | None = Field(
        default=None, min_length=1, max_length=1024, description="Of the file, as POST /v1/uploads has told it."
    )
    source_url: str | None = Field(
        default=None, min_length=1, max_length=2048, description="From where the file is fetched, by http or https."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.source_key is None) == (self.source_url is None):
            raise ValueError("say source_key or source_url, one of them; or send a form with the file")
        return self


class VoiceElsewhere(VoiceOptions, _Elsewhere):
    """A voice whose clip was uploaded before, or is to be fetched."""


class ClipElsewhere(ClipOptions, _Elsewhere):
    """A clip that was uploaded before, or is to be fetched."""


class VoiceChange(BaseModel):
    """What is to be changed of a voice. Another clip: PUT /v1/voices/{id}/clip."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name | None = None
    language: Language | None = Field(default=None, description="It counts from the next clip on.")
    description: Description | None = None


class DefaultVoice(BaseModel):
    """Who speaks what names nobody."""

    model_config = ConfigDict(extra="forbid", strict=True)

    voice: str | None = Field(
        max_length=100, description="As in a job; null: the service's own default, as before one was chosen."
    )


class ConsentGiven(BaseModel):
    given_by: str = Field(description="The tenant, and the id of its API key if it was one.")
    at: datetime


class VoiceLinks(BaseModel):
    self: str
    preview: str | None = Field(description="Null until it is spoken.")


class LibraryVoiceStatus(BaseModel):
    """A voice of your own."""

    id: str = Field(description="What jobs name it by.")
    name: str
    language: str
    description: str
    state: VoiceState = Field(description="It can be named once it is `ready`.")
    revision: int = Field(description="Grows with each clip.")
    created_at: datetime
    changed_at: datetime
    consent: ConsentGiven | None
    problems: list[str] = Field(description="Why its clip will not do, and what to do about it.")
    report: dict[str, float] = Field(description="What was measured of the clip.")
    error: JobError | None = Field(description="Why it has no preview.")
    links: VoiceLinks


class VoiceList(BaseModel):
    engine: str
    revision: str
    sample_rate: int
    default: str = Field(description="Who speaks what names nobody.")
    voices: list[Voice]
    controls: list[str] = Field(description="Which of pitch_shift, pitch_scale, energy_shift, energy_scale it obeys.")
    blends: bool = Field(description="Whether a voice may be a blend, such as 8051*0.7+985*0.3.")
    imitates: bool = Field(description="Whether it can speak like a reference clip.")
    missing: list[MissingVoice] = Field(description="Voices that this installation lacks, and why.")
    library: list[LibraryVoiceStatus] | None = Field(
        description="Your own voices; null if your token or key grants neither jobs:read nor voices:write."
    )
    next_cursor: str | None = Field(description="Pass as `cursor` for more of your own voices; null on the last page.")
