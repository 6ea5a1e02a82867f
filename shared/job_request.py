"""A request for speech as clients write it: the body of POST /v1/jobs, and what a batch's lines have of it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

EventType = Literal["job.succeeded", "job.failed", "job.cancelled", "job.expired"]
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=500)]

# What pydantic calls a fault, and the code we give it.
_CODE_OF_FAULT = {
    "extra_forbidden": "unknown_field",
    "missing": "missing_field",
    "json_invalid": "invalid_json",
    "model_attributes_type": "invalid_json",
    "model_type": "invalid_json",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "finite_number": "out_of_range",
    "string_too_long": "out_of_range",
    "too_long": "out_of_range",
}


def code_of(fault: Mapping[str, Any]) -> str:
    """Return our code for what pydantic found to be wrong."""
    return _CODE_OF_FAULT.get(fault["type"], "invalid_value")


class SpeechFields(BaseModel):
    """How a text is to be spoken."""

    model_config = ConfigDict(extra="forbid", strict=True)

    voice: str | None = Field(
        default=None,
        max_length=100,
        description="An id or a name from /v1/voices, or, if so told there, a blend such as 8051*0.7+985*0.3; "
        "by default the first one there.",
    )
    emotion: str = Field(
        default="neutral", max_length=500, description="A tag from /v1/emotions, or free text if so told there."
    )
    emotion_strength: float = Field(default=1.0, ge=0, le=2, description="0 is neutral, 1 as the tag says.")
    speed: float = Field(default=1.0, ge=0.25, le=4, description="2 is twice as fast, at the same pitch.")
    pitch_shift: float = Field(default=0.0, ge=-12, le=12, description="In semitones; /v1/voices tells who obeys.")
    pitch_scale: float = Field(default=1.0, ge=0, le=2, description="0 is monotonous, 2 sings.")
    energy_shift: float = Field(default=0.0, ge=-12, le=12, description="In decibels.")
    energy_scale: float = Field(default=1.0, ge=0, le=2, description="0 is evenly loud.")
    format: str = Field(default="wav", max_length=100, description="wav, mp3, opus, flac, aac or m4a.")
    sample_rate: int | None = Field(
        default=None, ge=1, le=192_000, description="In Hz; by default the engine's own or nearest."
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="The same seed gives the same audio.")
    metadata: dict[MetadataKey, MetadataValue] = Field(default_factory=dict, max_length=32)


class JobRequest(SpeechFields):
    """Text to be spoken, and how."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "Good morning! 早上好，今天天气真好。", "emotion": "happy", "format": "mp3"},
                {"text": "第一章。很久很久以前……", "lane": "bulk", "format": "m4a", "metadata": {"book": "42"}},
            ]
        },
    )

    text: str = Field(description="What to say, in Chinese, English or both. A blank line is a paragraph.")
    lane: Literal["interactive", "bulk"] = Field(
        default="interactive", description="bulk waits behind nobody's conversation."
    )
    if_cold: Literal["wait", "builtin"] = Field(
        default="wait",
        description="While no worker of the engine is warm: wait for one, or have the builtin engine speak it at once. "
        "The job says so in `stand_in`. For the interactive lane.",
    )
    webhook_url: str | None = Field(
        default=None,
        min_length=1,
        max_length=2048,
        description="Who is to be told how it ends, besides your webhooks; get a secret for it first: "
        "POST /v1/webhooks/jobs/secret.",
    )
    webhook_events: list[EventType] = Field(
        default_factory=list[EventType], max_length=4, description="What webhook_url is told; by default everything."
    )

    reference_audio_url: str | None = Field(
        default=None,
        min_length=1,
        max_length=2048,
        description="Speak like the person in this recording of 3 to 30 seconds, in place of `voice`. It is fetched by "
        "http or https, and goes with the job.",
    )
    reference_upload: str | None = Field(
        default=None, min_length=1, max_length=1024, description="The same, by the key of POST /v1/uploads."
    )
    reference_consent: bool = Field(
        default=False, description="That the person whose voice it is has agreed to this use of it."
    )

    @property
    def brings_voice(self) -> bool:
        """Whether it is spoken like a clip that comes with it."""
        return self.reference_audio_url is not None or self.reference_upload is not None

    @model_validator(mode="after")
    def _one_voice(self) -> Self:
        if [self.voice, self.reference_audio_url, self.reference_upload].count(None) < 2:
            raise ValueError("say voice, reference_audio_url or reference_upload, one of them")
        return self

    @model_validator(mode="after")
    def _only_who_is_waited_for_needs_a_stand_in(self) -> Self:
        if self.if_cold == "builtin" and self.lane != "interactive":
            raise ValueError("if_cold: builtin is for the interactive lane; a bulk job waits for its engine")
        return self

    @model_validator(mode="after")
    def _events_are_told_to_somebody(self) -> Self:
        if self.webhook_events and not self.webhook_url:
            raise ValueError("webhook_events is for webhook_url; a tenant's webhooks have events of their own")
        return self
