"""Bodies of the webhook API, and of what webhooks send."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.schemas import JobStatus
from shared.job_request import EventType
from shared.outbound import LONGEST_URL
from shared.shown import at
from shared.webhooks import EVENT_TYPES, Delivery, DeliveryState, Webhook

Events = Annotated[list[EventType], Field(min_length=1, max_length=len(EVENT_TYPES), description="What to be told.")]
Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_URL,
        description="https://, on the public internet.",
        examples=["https://hooks.example.com/speech"],
    ),
]
Description = Annotated[str, Field(max_length=500)]

_STRICT = ConfigDict(extra="forbid", strict=True)


class WebhookRequest(BaseModel):
    """Where to tell what of your jobs."""

    model_config = _STRICT

    url: Url
    events: Events = Field(default_factory=lambda: list(EVENT_TYPES))
    description: Description = ""


class WebhookChange(BaseModel):
    """What is to be otherwise. `enabled: true` ends that it is disabled."""

    model_config = _STRICT

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    enabled: Literal[True] | None = None


class WebhookStatus(BaseModel):
    """A webhook as its owner sees it."""

    id: str
    url: str
    events: list[str]
    description: str
    state: Literal["enabled", "disabled"]
    disabled_reason: str | None
    failing_since: datetime | None = Field(description="Since when it has taken nothing that was sent.")
    created_at: datetime


class WebhookCreated(WebhookStatus):
    secret: str = Field(description="What its deliveries are signed with. It is shown this once.")


class WebhookList(BaseModel):
    webhooks: list[WebhookStatus]


class NewSecret(BaseModel):
    secret: str = Field(description="Shown this once.")
    previous_until: datetime | None = Field(description="So long the secret before signs too.")


class DeliveryAttempt(BaseModel):
    at: datetime
    seconds: float
    status: int | None = Field(description="Of the answer; null if there was none.")
    error: str | None


class DeliveryStatus(BaseModel):
    """An event on its way to a webhook."""

    id: str = Field(description="The header webhook-id, the same at each try.")
    type: str
    job_id: str | None
    state: DeliveryState
    created_at: datetime
    next_attempt_at: datetime | None
    attempts: list[DeliveryAttempt] = Field(description="The latest 20, the newest at the end.")


class DeliveryList(BaseModel):
    deliveries: list[DeliveryStatus]


class JobEnded(BaseModel):
    """What a webhook sends when a job has ended."""

    type: EventType
    timestamp: datetime = Field(description="When it ended.")
    data: JobStatus = Field(description="The job as it was then, without links that expire and without its text.")


def webhook_status(hook: Webhook) -> WebhookStatus:
    return WebhookStatus(
        id=hook.id,
        url=hook.url,
        events=list(hook.events),
        description=hook.description,
        state="disabled" if hook.disabled else "enabled",
        disabled_reason=hook.disabled or None,
        failing_since=at(hook.failing_since) if hook.failing_since else None,
        created_at=at(hook.created_at),
    )


def delivery_status(delivery: Delivery) -> DeliveryStatus:
    return DeliveryStatus(
        id=delivery.event_id,
        type=delivery.type,
        job_id=delivery.job_id or None,
        state=delivery.state,
        created_at=at(delivery.created_at),
        next_attempt_at=at(delivery.next_at) if delivery.next_at is not None else None,
        attempts=[
            DeliveryAttempt(at=at(one.at), seconds=one.seconds, status=one.status, error=one.error or None)
            for one in delivery.attempts
        ],
    )
