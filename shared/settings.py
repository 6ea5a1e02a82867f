"""The settings that gateway and worker both read, from EMOTIVOICE_* variables."""

from importlib.util import find_spec
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.fair import Windows
from shared.jobs import Lane
from shared.outbound import Rules, networks


def _collector(address: str) -> str:
    """Told when a process starts, before it forks or takes anything."""
    if address and not address.startswith(("http://", "https://")):
        raise ValueError("a collector's address begins with http:// or https://")
    if address and find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        raise ValueError(
            "traces need the extra `tracing`, which is not installed: pip install 'emotivoice-fleet[tracing]'"
        )
    return address


def _networks(names: str) -> str:
    networks(names)
    return names


class SharedSettings(BaseSettings):
    """Where the servers are. Names are the same in every process, Compose file and manifest."""

    model_config = SettingsConfigDict(env_prefix="EMOTIVOICE_")

    broker_url: SecretStr = SecretStr("amqp://guest:guest@127.0.0.1:5672//")
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    s3_endpoint: str = Field(default="http://127.0.0.1:9000", description="as gateway and workers reach it")
    s3_public_endpoint: str = Field(
        default="", description="as clients reach it, for presigned links; empty: s3_endpoint"
    )
    s3_access_key: SecretStr = SecretStr("")
    s3_secret_key: SecretStr = SecretStr("")
    s3_bucket: str = "emotivoice"
    s3_region: str = "us-east-1"
    outbound_http: bool = Field(default=False, description="whether webhooks may go to http:// too, not only https://")
    outbound_private: Annotated[str, AfterValidator(_networks)] = Field(
        default="", description="private networks that webhooks may go to, such as 10.1.0.0/16 fd00::/8; by spaces"
    )
    clip_hosts: Annotated[str, AfterValidator(_networks)] = Field(
        default="",
        description="private networks that reference clips may be fetched from, such as 10.2.0.0/16; by spaces",
    )
    max_clip_bytes: int = Field(default=20 * 1024 * 1024, ge=1, description="of a reference clip's file")
    log_level: str = "INFO"
    # How many steps of one tenant may wait in a lane's queue; 0: all. At least messages for each worker x most workers
    # of k8s/keda, or KEDA would not see a backlog that is worth all of them.
    interactive_window: int = Field(default=100, ge=0, description="5 x 20")
    bulk_window: int = Field(default=320, ge=0, description="40 x 8")
    assembly_window: int = Field(default=80, ge=0, description="20 x 4")
    standin_window: int = Field(default=20, ge=0, description="5 x 4")
    otlp_endpoint: Annotated[str, AfterValidator(_collector)] = Field(
        default="", description="where traces go by OTLP over HTTP, such as http://collector:4318; empty: nowhere"
    )

    @property
    def windows(self) -> Windows:
        return {lane: getattr(self, f"{lane}_window") for lane in Lane}

    @property
    def outbound(self) -> Rules:
        """Where requests to addresses that clients name may go."""
        return Rules(self.outbound_http, networks(self.outbound_private))

    @property
    def clip_rules(self) -> Rules:
        """Where reference clips may be fetched from."""
        return Rules(http=True, private=networks(self.clip_hosts))
