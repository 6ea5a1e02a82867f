"""Request and response bodies of OpenAI's API, as far as we have it, with fields of ours."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator


class VoiceReference(BaseModel):
    """A voice as an object."""

    id: str = Field(max_length=100)


class SpeechBody(BaseModel):
    """What is to be spoken. A field that is null counts as left out; the last four are ours."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"model": "emotivoice", "input": "Hello!", "voice": "alloy"}]}
    )

    input: str = Field(description="What to say, in Chinese, English or both.")
    model: str = Field(default="emotivoice", max_length=100, description="A name from /v1/models.")
    voice: Annotated[str, StringConstraints(max_length=100)] | VoiceReference | None = Field(
        default=None, description="An id or name from /v1/audio/voices, a blend, or one of OpenAI's names."
    )
    instructions: str | None = Field(
        default=None, max_length=500, description="An emotion: any sentence where /v1/emotions says so, else a tag."
    )
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] | None = Field(
        default=None, description="By default mp3. pcm is 16 bit little endian, mono, without a header."
    )
    speed: float | None = Field(default=None, ge=0.25, le=4)
    stream_format: Literal["audio", "sse"] | None = Field(default=None, description="By default audio.")
    emotion: str | None = Field(default=None, max_length=500, description="In place of instructions.")
    seed: int | None = Field(default=None, ge=0, le=2**32 - 1, description="The same seed gives the same audio.")
    language: str | None = Field(
        default=None, max_length=35, description="What the voice has to read, such as zh or en-US."
    )
    sample_rate: int | None = Field(default=None, ge=1, le=192_000, description="By default 24000.")

    @property
    def format(self) -> str:
        return self.response_format or "mp3"

    @model_validator(mode="after")
    def _one_emotion(self) -> Self:
        if self.emotion and self.instructions:
            raise ValueError("send emotion or instructions, not both")
        return self


class OpenAIError(BaseModel):
    message: str
    type: str
    param: str | None
    code: str = Field(description="Never changes; switch on this.")


class OpenAIProblem(BaseModel):
    """A failure in the shape of OpenAI's API."""

    error: OpenAIError


class Model(BaseModel):
    id: str
    name: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "emotivoice"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


class SpeechModelList(BaseModel):
    models: list[Model]
    data: list[Model]


class SpeechVoice(BaseModel):
    id: str
    name: str
    languages: list[str]
    gender: str


class SpeechVoiceList(BaseModel):
    voices: list[SpeechVoice]
