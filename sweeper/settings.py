"""The sweeper's settings, from EMOTIVOICE_* variables."""

from pydantic import Field

from shared.settings import SharedSettings


class SweeperSettings(SharedSettings):
    """Read once, in main."""

    sweep_seconds: float = Field(default=10, gt=0, description="from the end of a round to the next")
    patience_seconds: float = Field(
        default=60, gt=0, description="how long a step seems to have lost its message before it is sent again"
    )
    upload_seconds: float = Field(
        default=3600, gt=0, description="audio that was begun so long ago is given up; longer than any segment takes"
    )
    webhook_relay_seconds: float = Field(default=1, gt=0, description="between two looks for webhooks that are due")
    pod_deletion_cost: bool = Field(
        default=False, description="tell Kubernetes which worker pods are busy, so that scaling in spares them"
    )
    sweeper_health_host: str = "127.0.0.1"
    sweeper_health_port: int = Field(default=8082, ge=0, le=65535, description="/livez, /readyz and /metrics")
