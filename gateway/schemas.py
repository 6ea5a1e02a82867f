"""Response bodies: the public API and nothing else. Those of requests for speech are in shared/job_request.py."""

from datetime import datetime

from pydantic import BaseModel, Field

from shared.jobs import JobState


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
