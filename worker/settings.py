"""The worker's settings, from EMOTIVOICE_* variables."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from shared.jobs import Lane
from shared.settings import SharedSettings
from shared.usage import USAGE_DAYS
from shared.webhooks import DISABLE_DAYS, RETRY_SECONDS
from worker.courier import Terms
from worker.engine.options import EngineOptions
from worker.grace import Grace

SHUTDOWN_MARGIN_SECONDS = 30  # from where a segment is to end at its limit to where its child is killed


def _known_device(value: object) -> object:
    if value in ("auto", "cpu", "cuda") or (str(value).startswith("cuda:") and str(value)[5:].isdigit()):
        return value
    raise ValueError("a device is auto, cpu, cuda, or one GPU of several, such as cuda:1")


def _unset_if_empty(value: object) -> object:
    return None if value == "" else value


def _delays(seconds: str) -> str:
    if not all(float(one) > 0 for one in seconds.split()):
        raise ValueError("each is more than 0 seconds")
    return seconds


class WorkerSettings(SharedSettings):
    """Read once, in main."""

    lane: Lane = Lane.INTERACTIVE
    engine: str = Field(default="builtin", description="which engine speaks; assembly workers load none")
    model_dir: Annotated[Path | None, BeforeValidator(_unset_if_empty)] = Field(
        default=None, description="the model's folder, for an engine that needs one"
    )
    device: Annotated[str, BeforeValidator(_known_device)] = Field(
        default="auto", description="auto, cpu, cuda, cuda:1"
    )
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    tone_sandhi: bool = Field(
        default=False, description="Mandarin tone changes, which the official model does not want"
    )
    gather_milliseconds: float = Field(
        default=5, ge=0, le=1000, description="how long to look for messages to speak together; 0 speaks each alone"
    )
    memory_limit_gib: float = Field(
        default=0, ge=0, description="a child over it is replaced between messages; 0: never"
    )
    gpu_memory_limit_gib: float = Field(default=0, ge=0, description="the same for what it has reserved of its GPU")
    health_host: str = "127.0.0.1"
    health_port: int = Field(default=8081, ge=0, le=65535, description="/startupz, /livez, /readyz and /metrics")
    load_limit_seconds: float = Field(default=300, gt=0, description="a model that takes longer ends the process")
    segment_limit_seconds: float = Field(default=600, gt=0, description="a segment that takes longer fails the job")
    assembly_limit_seconds: float = Field(
        default=1800, gt=0, description="the same on the assembly lane, where a chapter of a book is one step"
    )
    consumer_timeout_seconds: float = Field(
        default=7200, gt=0, description="the broker's consumer_timeout, which AMQP does not tell"
    )
    grace_seconds: float = Field(  # time for any segment, and to hand back what is stuck nevertheless
        default=630, ge=1, description="what the supervisor gives between SIGTERM and SIGKILL"
    )
    usage_days: int = Field(default=USAGE_DAYS, ge=1, description="how long a tenant's usage is kept")
    webhook_seconds: float = Field(default=15, gt=0, description="within which a webhook's receiver has to answer")
    webhook_retry_seconds: Annotated[str, AfterValidator(_delays)] = Field(
        default=" ".join(map(str, RETRY_SECONDS)), description="from each try of a webhook to the next; by spaces"
    )
    webhook_disable_days: float = Field(
        default=DISABLE_DAYS, gt=0, description="a webhook that has failed for so long is told nothing more"
    )
    watermark: str = Field(
        default="", description="the plug-in that marks speech of library voices (docs/voices.md); empty: none does"
    )
    lease_seconds: float = Field(default=30, ge=1, description="how long a silent worker keeps a step from a duplicate")

    @model_validator(mode="after")
    def _any_segment_ends_before_the_broker_takes_it_back(self) -> Self:
        """Else the worker's main process ends with the connection, and the segment begins again elsewhere."""
        if self.hard_limit_seconds >= self.consumer_timeout_seconds:
            raise ValueError(
                f"a segment may take {self.hard_limit_seconds:g} s (EMOTIVOICE_{self._limit_name} and "
                f"{SHUTDOWN_MARGIN_SECONDS} s more), but the broker takes a message back after "
                f"{self.consumer_timeout_seconds:g} s (EMOTIVOICE_CONSUMER_TIMEOUT_SECONDS): the first must be less"
            )
        return self

    @property
    def hard_limit_seconds(self) -> float:
        """When a child is killed that does not end its segment."""
        return self.step_limit_seconds + SHUTDOWN_MARGIN_SECONDS

    @property
    def step_limit_seconds(self) -> float:
        """How long a step may take on this worker's lane."""
        return self.segment_limit_seconds if self.speaks else self.assembly_limit_seconds

    @property
    def _limit_name(self) -> str:
        return "SEGMENT_LIMIT_SECONDS" if self.speaks else "ASSEMBLY_LIMIT_SECONDS"

    @property
    def engine_options(self) -> EngineOptions:
        return EngineOptions(self.model_dir, self.device, self.precision, self.tone_sandhi)

    @property
    def grace(self) -> Grace:
        return Grace(self.grace_seconds)

    @property
    def webhooks(self) -> Terms:
        delays = [float(one) for one in self.webhook_retry_seconds.split()]
        return Terms(self.outbound, self.webhook_seconds, delays, self.webhook_disable_days)

    @property
    def speaks(self) -> bool:
        return self.lane is not Lane.ASSEMBLY
