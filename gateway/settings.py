"""The gateway's settings, from EMOTIVOICE_* variables."""

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import SettingsConfigDict

from shared.jobs import KEEP_SECONDS
from shared.loopback import is_loopback
from shared.settings import SharedSettings

SECRET_BYTES = 32  # at least, for HS256: RFC 7518, 3.2


class GatewaySettings(SharedSettings):
    """Read once, in main."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)  # it may be a secret

    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(default=8080, ge=0, le=65535)
    max_text_characters: int = Field(default=100_000, ge=1, description="about two hours of speech")
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024)
    body_seconds: float = Field(
        default=30, gt=0, description="within which a request's body has to come; a second more for each 64 KiB"
    )
    max_batch_bytes: int = Field(default=256 * 1024 * 1024, ge=1024, description="of a batch's file")
    max_batch_lines: int = Field(default=100_000, ge=1, description="of a batch's file: so many jobs")
    max_file_bytes: int = Field(default=100_000_000, ge=1024, description="of a book, sent or uploaded")
    engine_hour_price: float = Field(default=0, ge=0, description="of an engine, for books' cost; 0: none is told")
    default_voice: str = Field(default="", description="empty: the first voice of the engine")
    openai_voices: dict[str, str] = Field(
        default={}, description="which voice speaks for one of OpenAI's, as JSON, besides the usual table"
    )
    public_voices: bool = Field(
        default=False, description="whether anybody may list models and voices by the routes that OpenAI's clients know"
    )
    streams_per_tenant: int = Field(default=100, ge=1, description="of text that may be open at once, at each gateway")
    stream_idle_seconds: float = Field(default=60, gt=0, description="without a message, with nothing left to speak")
    cors_origins: str = Field(
        default="", description="sites whose scripts may use the API, such as https://a.example; * is any; by spaces"
    )
    tenant_header: str = Field(
        default="", description="the header by which an authenticating proxy tells whose a request is; empty: none"
    )
    jwt_secret: SecretStr = Field(default=SecretStr(""), description="with it tokens are checked, by HS256")
    jwks_url: str = Field(default="", description="where the token issuer's public keys are, for RS256 and ES256")
    jwt_issuer: str = Field(default="", description="what a token's `iss` must be; empty: anything, by a secret only")
    jwt_audience: str = Field(default="", description="what a token's `aud` must name; empty: it has none")
    jwt_tenant_claim: str = Field(default="tenant", min_length=1, description="the claim that names the tenant")
    api_keys: bool = Field(default=False, description="whether keys of `emotivoice keys create` are taken")
    auth_off: bool = Field(default=False, description="serve whoever reaches the gateway, not on loopback only")
    # Far more than any burst that scaling out deals with (docs/planning.md: 30 s), and longer than anybody listens.
    interactive_wait_limit_seconds: float = Field(default=600, ge=0, description="0: jobs may wait for ever")
    bulk_wait_limit_seconds: float = Field(default=0, ge=0, description="a night's work may wait for the night")
    quota_requests_per_second: float = Field(default=0, ge=0, description="of each tenant; 0: no limit, as below")
    quota_characters_per_day: int = Field(default=0, ge=0, description="days are those of UTC")
    quota_audio_seconds_per_day: float = Field(default=0, ge=0)
    quota_concurrent_jobs: int = Field(default=0, ge=0, description="queued or running")
    quota_stored_bytes: int = Field(default=0, ge=0, description="of audio that is kept")
    quota_open_lines: int = Field(default=500_000, ge=0, description="of batches, not ended yet; each is 6 KB of Redis")
    most_voices: int = Field(default=1000, ge=0, description="of a tenant's own")
    voice_consent: Literal["required", "assumed"] = Field(
        default="required", description="whether a client has to say that the person has agreed whose voice a clip has"
    )
    audio_delivery: Literal["stream", "redirect"] = "stream"
    keep_seconds: float = Field(
        default=KEEP_SECONDS, ge=1, description="how long a finished job and its audio are kept; then it expires"
    )
    link_seconds: int = Field(default=3600, ge=1, le=7 * 86400, description="how long a presigned link works")

    @property
    def auth(self) -> bool:
        """Whether a caller has to show a token or a key."""
        return self.api_keys or bool(self.jwt_secret or self.jwks_url)

    @model_validator(mode="after")
    def _callers_can_be_known(self) -> Self:
        """Told when the gateway starts, rather than by whom it lets in."""
        if wrong := self._wrong_with_tokens() or self._wrong_with_auth():
            raise ValueError(wrong)
        return self

    def _wrong_with_tokens(self) -> str:
        secret = self.jwt_secret.get_secret_value()
        if secret and self.jwks_url:
            return "set EMOTIVOICE_JWT_SECRET or EMOTIVOICE_JWKS_URL, not both: tokens are checked in one way"
        if "-----BEGIN" in secret:
            return (
                "EMOTIVOICE_JWT_SECRET holds a key in PEM; it has to be a secret. For public keys: EMOTIVOICE_JWKS_URL"
            )
        if secret and len(secret.encode()) < SECRET_BYTES:
            return f"EMOTIVOICE_JWT_SECRET is too short: at least {SECRET_BYTES} bytes, such as of openssl rand -hex 32"
        if self.jwks_url and urlsplit(self.jwks_url).scheme not in ("http", "https"):
            return "EMOTIVOICE_JWKS_URL has to begin with https://, or with http:// inside your own network"
        if self.jwks_url and not (self.jwt_issuer and self.jwt_audience):
            return (
                "EMOTIVOICE_JWKS_URL needs EMOTIVOICE_JWT_ISSUER and EMOTIVOICE_JWT_AUDIENCE: "
                "without them every token of that issuer would do, whatever service it is for"
            )
        return ""

    def _wrong_with_auth(self) -> str:
        if self.auth and self.auth_off:
            return "EMOTIVOICE_AUTH_OFF is set, and so is a way to authenticate: take one of them away"
        if self.auth and self.tenant_header:
            return "EMOTIVOICE_TENANT_HEADER is for a proxy that authenticates; here tokens and keys name the tenant"
        if not (self.auth or self.auth_off or is_loopback(self.gateway_host)):
            return (
                f"the gateway listens on {self.gateway_host}, not on loopback only, and would serve whoever comes. "
                "Set EMOTIVOICE_API_KEYS=true, EMOTIVOICE_JWT_SECRET or EMOTIVOICE_JWKS_URL; "
                "or EMOTIVOICE_AUTH_OFF=true, if something else decides who comes"
            )
        return ""


def wrong_with(error: ValidationError) -> list[str]:
    """Return a sentence for each setting that is wrong, without what it was set to."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    names = [": ".join(f"EMOTIVOICE_{str(part).upper()}" for part in fault["loc"]) for fault in faults]
    messages = [fault["msg"].removeprefix("Value error, ") for fault in faults]
    return [f"{name}: {message}" if name else message for name, message in zip(names, messages, strict=True)]
