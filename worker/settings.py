"""The worker's settings, from EMOTIVOICE_* variables."""

from pydantic import Field

from shared.jobs import Lane
from shared.settings import SharedSettings


class WorkerSettings(SharedSettings):
    """Read once, in main."""

    lane: Lane = Lane.INTERACTIVE
    engine: str = Field(default="builtin", description="which engine speaks; assembly workers load none")
    health_host: str = "127.0.0.1"
    health_port: int = Field(default=8081, ge=0, le=65535, description="/livez, /readyz and /metrics")
    load_limit_seconds: float = Field(default=300, gt=0, description="a model that takes longer ends the process")
    segment_limit_seconds: float = Field(default=600, gt=0, description="a segment that takes longer fails the job")
    lease_seconds: float = Field(default=30, ge=1, description="how long a silent worker keeps a step from a duplicate")

    @property
    def speaks(self) -> bool:
        return self.lane is not Lane.ASSEMBLY
