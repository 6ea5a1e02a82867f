"""Webhooks: who wants to be told what, what there is to tell, and how it is signed (standardwebhooks.com).

An event is recorded in the commit that ends a job, if anybody may want to hear of it (`told.lua`). The sweeper makes a
delivery of it for each webhook that wants it, and has whatever is due sent by the assembly workers. What is due is in
one sorted set, so nothing is lost with a message or a process.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from shared import records
from shared.jobs import Audio, Job, JobKind, SpeechRequest
from shared.shown import at, shown

DUE = "webhook_due"  # events to be made deliveries of, and deliveries to be tried, by when
HOOKS_OF_JOBS = "webhooks_of_jobs"  # tenant -> the webhook that stands for the URLs of its jobs
OF_JOBS = "jobs"  # its id
TEST = "webhook.test"
EVENT_TYPES = ("job.succeeded", "job.failed", "job.cancelled", "job.expired")
MOST_WEBHOOKS = 20  # of a tenant
KEEP_SECONDS = 7 * 24 * 3600  # events and deliveries; all retries take about three days
KEEP_DELIVERIES = 200  # in the history of a webhook
KEEP_ATTEMPTS = 20
GRACE_SECONDS = 24 * 3600  # for which a secret that was replaced signs too
# From one try to the next, as Standard Webhooks suggests: 75.6 hours altogether.
RETRY_SECONDS = (5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
DISABLE_DAYS = 5.0
SECRET_PREFIX = "whsec_"


@dataclass(frozen=True)
class Secret:
    """What deliveries are signed with."""

    value: str
    expires_at: float | None = None  # once it has been replaced


@dataclass(frozen=True)
class Webhook:
    """Where a tenant wants to be told what."""

    id: str
    tenant: str
    url: str  # empty for the one that stands for the URLs of jobs
    events: tuple[str, ...]
    secrets: tuple[Secret, ...]  # the newest first
    created_at: float
    description: str = ""
    failing_since: float | None = None  # these two are kept apart: the workers write them
    disabled: str = ""  # why it is not told any more

    def signing(self, *, now: float) -> list[str]:
        """Return the secrets that sign now."""
        return [one.value for one in self.secrets if one.expires_at is None or one.expires_at > now]

    def with_new_secret(self, *, now: float) -> "Webhook":
        """Return it with another secret. The one before goes on to sign for a while; what is older does not."""
        before = [replace(one, expires_at=now + GRACE_SECONDS) for one in self.secrets if one.expires_at is None]
        return replace(self, secrets=(Secret(new_secret()), *before))


@dataclass(frozen=True)
class Event:
    """Something that happened to a job, as it was then; or a test."""

    id: str
    type: str
    at: float
    tenant: str
    job: Job | None = None
    request: SpeechRequest | None = None  # without the text
    audio: Audio | None = None  # without the words

    def body(self) -> bytes:
        """Return what is sent: the same at each try."""
        data = shown(self.job, self.request, self.audio) if self.job and self.request else {}
        payload = {"type": self.type, "timestamp": at(self.at), "data": data}
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), default=_time).encode()


class DeliveryState(StrEnum):
    """Where a delivery is in its life."""

    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class Attempt:
    """One try."""

    at: float
    seconds: float
    status: int | None  # of the answer
    error: str = ""


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one webhook."""

    event_id: str
    webhook_id: str
    tenant: str
    type: str
    job_id: str
    created_at: float
    state: DeliveryState = DeliveryState.WAITING
    tries: int = 0  # since it was made, or asked for again
    next_at: float | None = None
    attempts: tuple[Attempt, ...] = field(default_factory=tuple)  # the latest at the end

    @property
    def name(self) -> str:
        """What it is called among what is due."""
        return f"{self.event_id}:{self.webhook_id}"

    def tried(self, attempt: Attempt, *, delays: Sequence[float], wait_seconds: float = 0) -> "Delivery":
        """Return it after a try that may have failed.

        Args:
            delays: from each try to the next; after the last it is given up.
            wait_seconds: the receiver's own wish, which counts if it is longer.
        """
        known = replace(self, tries=self.tries + 1, attempts=(*self.attempts, attempt)[-KEEP_ATTEMPTS:], next_at=None)
        if not attempt.error:
            return replace(known, state=DeliveryState.SUCCEEDED)
        if self.tries >= len(delays):
            return replace(known, state=DeliveryState.FAILED)
        return replace(known, next_at=attempt.at + max(delays[self.tries], wait_seconds))

    def given_up(self) -> "Delivery":
        return replace(self, state=DeliveryState.FAILED, next_at=None)

    def again(self, *, now: float) -> "Delivery":
        return replace(self, state=DeliveryState.WAITING, tries=0, next_at=now)


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def new_webhook_id() -> str:
    return f"wh_{secrets.token_hex(8)}"


def signatures(event_id: str, timestamp: int, body: bytes, signing: Iterable[str]) -> str:
    """Return the header `webhook-signature`: one signature for each secret.

    Raises:
        ValueError: a secret is not written as Standard Webhooks has it.
    """
    signed = f"{event_id}.{timestamp}.".encode() + body
    try:
        keys = [base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True) for secret in signing]
    except binascii.Error as error:
        raise ValueError("a secret is whsec_ and base64") from error
    made = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(one).decode()}" for one in made)


def hooks_key(tenant: str) -> str:
    return f"webhooks_of:{tenant}"


def health_key(tenant: str) -> str:
    """The webhooks' failing_since and disabled, as `id name`."""
    return f"webhook_health:{tenant}"


def event_key(event_id: str) -> str:
    return f"webhook_event:{event_id}"


def delivery_key(name: str) -> str:
    return f"webhook_delivery:{name}"


def history_key(tenant: str, webhook_id: str) -> str:
    return f"webhook_history:{tenant}:{webhook_id}"


def told(was: Job | None, job: Job, *, now: float) -> dict[str, object]:
    """Return the entry of a script's argument by which `told.lua` records that the job has ended, if it has."""
    if not job.finished or (was and was.state is job.state) or job.kind is not JobKind.SPEECH:
        return {}
    kind = f"job.{job.state}"
    event_id = f"evt_{job.id}_{job.state}_{int(now * 1000)}"
    return {
        "told": {
            "own": bool(job.webhook_url) and kind in (job.webhook_events or EVENT_TYPES),
            "hooks": hooks_key(job.tenant),
            "fields": ["id", event_id, "type", kind, "at", str(now), "tenant", job.tenant],
            "record": [event_key(event_id), KEEP_SECONDS],
            "due": [DUE, str(now), event_id],
            "reads": [
                records.job_key(job.id),
                records.request_key(job.id),
                records.audio_record_key(job.audio_address or "none"),
            ],
        }
    }


def wanting(event: Event, hooks: Iterable[Webhook]) -> list[str]:
    """Return the ids of the webhooks that are to be told."""
    found = [hook.id for hook in hooks if event.type in hook.events and not hook.disabled]
    job = event.job
    own = job and job.webhook_url and event.type in (job.webhook_events or EVENT_TYPES)
    return [*found, *([OF_JOBS] if own else [])]


def delivery_of(event: Event, webhook_id: str, *, now: float) -> Delivery:
    job_id = event.job.id if event.job else ""
    return Delivery(event.id, webhook_id, event.tenant, event.type, job_id, now, next_at=now)


def dump(record: Webhook | Delivery) -> str:
    fields = asdict(record)
    for name in ("failing_since", "disabled"):  # of a webhook
        fields.pop(name, None)
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def load_webhook(raw: str, *, failing_since: str | None = None, disabled: str | None = None) -> Webhook:
    fields: dict[str, Any] = json.loads(raw)
    fields |= {"events": tuple(fields["events"]), "secrets": tuple(Secret(**one) for one in fields["secrets"])}
    return Webhook(**fields, failing_since=float(failing_since) if failing_since else None, disabled=disabled or "")


def load_delivery(raw: str) -> Delivery:
    fields: dict[str, Any] = json.loads(raw)
    fields |= {"state": DeliveryState(fields["state"]), "attempts": tuple(Attempt(**one) for one in fields["attempts"])}
    return Delivery(**fields)


def _time(value: Any) -> str:
    return value.isoformat().replace("+00:00", "Z")
