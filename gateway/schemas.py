"""Request and response bodies: the public API and nothing else."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.jobs import JobState

EventType = Literal["job.succeeded", "job.failed", "job.cancelled", "job.expired"]
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=500)]


class JobRequest(BaseModel):
    """Text to be spoken, and how."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"text": "Good morning! 早上好，今天天气真好。", "emotion": "happy", "format": "mp3"},
                {"text": "第一章。很久很久以前……", "lane": "bulk", "format": "m4a", "metadata": {"book": "42"}},
            ]
        },
    )

    text: str = Field(description="What to say, in Chinese, English or both. A blank line is a paragraph.")
    voice: str | None = Field(
        default=None,
        max_length=100,
        description="An id or a name from /v1/voices, or, if so told there, a blend such as 8051*0.7+985*0.3; "
        "by default the first one there.",
    )
    emotion: str = Field(
        "neutral", max_length=500, description="A tag from /v1/emotions, or free text if so told there."
    )
    emotion_strength: float = Field(default=1.0, ge=0, le=2, description="0 is neutral, 1 as the tag says.")
    speed: float = Field(default=1.0, ge=0.25, le=4, description="2 is twice as fast, at the same pitch.")
    pitch_shift: float = Field(default=0.0, ge=-12, le=12, description="In semitones; /v1/voices tells who obeys.")
    pitch_scale: float = Field(default=1.0, ge=0, le=2, description="0 is monotonous, 2 sings.")
    energy_shift: float = Field(default=0.0, ge=-12, le=12, description="In decibels.")
    energy_scale: float = Field(default=1.0, ge=0, le=2, description="0 is evenly loud.")
    format: str = Field(default="wav", max_length=100, description="wav, mp3, opus, flac, aac or m4a.")
    sample_rate: int | None = Field(
        None, ge=1, le=192_000, description="In Hz; by default the engine's own or nearest."
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="The same seed gives the same audio.")
    lane: Literal["interactive", "bulk"] = Field(
        default="interactive", description="bulk waits behind nobody's conversation."
    )
    if_cold: Literal["wait", "builtin"] = Field(
        default="wait",
        description="While no worker of the engine is warm: wait for one, or have the builtin engine speak it at once. "
        "The job says so in `stand_in`. For the interactive lane.",
    )
    metadata: dict[MetadataKey, MetadataValue] = Field(default_factory=dict, max_length=32)
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


class Progress(BaseModel):
    segments_done: int
    segments_total: int = Field(description="0 until a long text is planned.")


class QueuePlace(BaseModel):
    position: int | None = Field(description="1 is next; null once a worker has started.")
    eta_seconds: float | None = Field(description="Until the audio is ready, from the lane's measured speed.")


class SpokenAs(BaseModel):
    """The request as it was understood, defaults filled in."""

    voice: str
    emotion: str
    emotion_strength: float
    speed: float
    pitch_shift: float
    pitch_scale: float
    energy_shift: float
    energy_scale: float
    format: str
    sample_rate: int
    seed: int


class Result(BaseModel):
    audio: str = Field(description="The audio at this gateway.")
    timings: str = Field(description="When each word and phoneme sounds, at this gateway.")
    url: str | None = Field(description="A presigned link to the object store; null in webhooks.")
    url_expires_at: datetime | None
    bytes: int
    seconds: float
    sample_rate: int
    format: str
    content_type: str
    sha256: str
    warnings: list[str] = Field(description="What was not spoken as it was written, a sentence each.")


class Usage(BaseModel):
    characters: int
    audio_seconds: float
    engine_seconds: float


class JobError(BaseModel):
    code: str
    message: str


class Links(BaseModel):
    self: str
    audio: str | None


class JobStatus(BaseModel):
    """A job as its owner sees it."""

    id: str
    state: JobState
    lane: str
    progress: Progress
    queue: QueuePlace | None = Field(description="null once the job is finished.")
    attempts: int
    stand_in: str | None = Field(
        description="Which engine and voice speak it instead of those that were asked for, and why; null if none do."
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None = Field(description="When its audio is deleted; null until it is finished.")
    request: SpokenAs
    metadata: dict[str, str]
    result: Result | None
    usage: Usage | None
    error: JobError | None
    links: Links


class JobEvent(BaseModel):
    """What a change has made of a job."""

    id: str = Field(description="The job's.")
    state: JobState
    progress: Progress
    at: datetime
    error: JobError | None
    links: Links


class JobPage(BaseModel):
    jobs: list[JobStatus]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last.")


class Word(BaseModel):
    word: str
    start: float = Field(description="Seconds from the beginning of the audio.")
    end: float


class Phoneme(BaseModel):
    phoneme: str
    start: float = Field(description="Seconds from the beginning of the audio.")
    end: float


class Timings(BaseModel):
    words: list[Word]
    phonemes: list[Phoneme] = Field(description="Empty if the engine does not tell them.")


class Voice(BaseModel):
    id: str
    name: str
    languages: list[str]
    gender: str
    description: str


class MissingVoice(BaseModel):
    id: str
    reason: str


class VoiceList(BaseModel):
    engine: str
    revision: str
    sample_rate: int
    default: str
    voices: list[Voice]
    controls: list[str] = Field(description="Which of pitch_shift, pitch_scale, energy_shift, energy_scale it obeys.")
    blends: bool = Field(description="Whether a voice may be a blend, such as 8051*0.7+985*0.3.")
    missing: list[MissingVoice] = Field(description="Voices that this installation lacks, and why.")


class EmotionList(BaseModel):
    emotions: list[str]
    free_text: bool = Field(description="Whether an emotion may be any sentence.")


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Never changes; switch on this.")
