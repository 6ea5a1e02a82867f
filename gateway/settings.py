"""The gateway's settings, from EMOTIVOICE_* variables."""

from typing import Literal

from pydantic import Field

from shared.jobs import KEEP_SECONDS
from shared.settings import SharedSettings


class GatewaySettings(SharedSettings):
    """Read once, in main."""

    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(default=8080, ge=0, le=65535)
    max_text_characters: int = Field(default=100_000, ge=1, description="about two hours of speech")
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024)
    default_voice: str = Field(default="", description="empty: the first voice of the engine")
    tenant_header: str = Field(
        default="", description="the header by which an authenticating proxy tells whose a request is; empty: none"
    )
    audio_delivery: Literal["stream", "redirect"] = "stream"
    keep_seconds: float = Field(
        default=KEEP_SECONDS, ge=1, description="how long a finished job and its audio are kept; then it expires"
    )
    link_seconds: int = Field(default=3600, ge=1, le=7 * 86400, description="how long a presigned link works")
