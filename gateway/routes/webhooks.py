"""Webhooks of a tenant: where it is told how its jobs end, and what was sent."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response

from gateway.auth.caller import Caller
from gateway.dependencies import ReaderDep, Services, ServicesDep, SpeakerDep
from gateway.routes.problems import problems
from gateway.webhook_schemas import (
    DeliveryList,
    DeliveryStatus,
    JobEnded,
    NewSecret,
    WebhookChange,
    WebhookCreated,
    WebhookList,
    WebhookRequest,
    WebhookStatus,
    delivery_status,
    webhook_status,
)
from gateway.webhook_urls import check_url
from shared.errors import DeliveryNotFound, TooManyWebhooks, WebhookNotFound
from shared.shown import at
from shared.webhooks import EVENT_TYPES, MOST_WEBHOOKS, OF_JOBS, Secret, Webhook, new_secret, new_webhook_id

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
sent = APIRouter()  # what we send, for OpenAPI

WebhookId = Annotated[str, Path(max_length=32, description="Or `jobs`, for the URLs that jobs bring along.")]
DeliveryId = Annotated[str, Path(max_length=128)]
_OF_A_DELIVERY = {
    "redeliver": {
        "operationId": "redeliver",
        "parameters": {"webhook_id": "$request.path.webhook_id", "delivery_id": "$response.body#/id"},
    }
}


@router.post("", status_code=201, responses=problems(409, 413, 422, 503))
async def create_webhook(body: WebhookRequest, services: ServicesDep, caller: SpeakerDep) -> WebhookCreated:
    """Be told how your jobs end. The answer has the secret, this once."""
    check_url(body.url, services.settings.outbound)
    if len(await services.webhooks.all(caller.tenant)) >= MOST_WEBHOOKS:
        raise TooManyWebhooks(MOST_WEBHOOKS)
    hook = Webhook(
        id=new_webhook_id(),
        tenant=caller.tenant,
        url=body.url,
        events=tuple(dict.fromkeys(body.events)),
        secrets=(Secret(new_secret()),),
        created_at=time.time(),
        description=body.description,
    )
    await services.webhooks.write(hook, was=None)
    return WebhookCreated(**webhook_status(hook).model_dump(), secret=hook.secrets[0].value)


@router.get("", responses=problems(503))
async def list_webhooks(services: ServicesDep, caller: ReaderDep) -> WebhookList:
    """List your webhooks, the oldest first."""
    return WebhookList(webhooks=[webhook_status(hook) for hook in await services.webhooks.all(caller.tenant)])


@router.get("/{webhook_id}", responses=problems(404, 422, 503))
async def get_webhook(webhook_id: WebhookId, services: ServicesDep, caller: ReaderDep) -> WebhookStatus:
    """Look at a webhook."""
    return webhook_status(await _own(webhook_id, services, caller))


@router.patch("/{webhook_id}", responses=problems(404, 413, 422, 503))
async def change_webhook(
    webhook_id: WebhookId, body: WebhookChange, services: ServicesDep, caller: SpeakerDep
) -> WebhookStatus:
    """Change a webhook, or enable it again. What is on its way goes to the new URL."""
    if body.url:
        check_url(body.url, services.settings.outbound)
    wanted = body.model_dump(exclude_none=True, exclude={"enabled"})
    if body.events:
        wanted["events"] = tuple(dict.fromkeys(body.events))
    hook = await _changed(_registered(webhook_id), services, caller, lambda hook: replace(hook, **wanted))
    if body.enabled:
        await services.webhooks.enable(hook)
        hook = replace(hook, failing_since=None, disabled="")
    return webhook_status(hook)


@router.delete("/{webhook_id}", status_code=204, responses=problems(404, 422, 503))
async def delete_webhook(webhook_id: WebhookId, services: ServicesDep, caller: SpeakerDep) -> Response:
    """Be told no more. What is on its way is dropped."""
    await services.webhooks.remove(await _own(webhook_id, services, caller))
    return Response(status_code=204)


@router.post("/{webhook_id}/secret", status_code=201, responses=problems(404, 422, 503))
async def renew_secret(webhook_id: WebhookId, services: ServicesDep, caller: SpeakerDep) -> NewSecret:
    """Get a new secret. For a day the one before signs too, so a receiver may know either.

    For `jobs` this makes the first one, too: it signs what goes to the `webhook_url` of your jobs.
    """
    now = time.time()
    if webhook_id == OF_JOBS:
        first = Webhook(OF_JOBS, caller.tenant, "", EVENT_TYPES, (Secret(new_secret()),), now)
        if await services.webhooks.find(caller.tenant, OF_JOBS) is None and await services.webhooks.write(
            first, was=None
        ):
            return NewSecret(secret=first.secrets[0].value, previous_until=None)
    hook = await _changed(webhook_id, services, caller, lambda hook: hook.with_new_secret(now=now))
    ends = hook.secrets[1].expires_at
    return NewSecret(secret=hook.secrets[0].value, previous_until=at(ends) if ends else None)


@router.get("/{webhook_id}/deliveries", responses=problems(404, 422, 503))
async def list_deliveries(
    webhook_id: WebhookId,
    services: ServicesDep,
    caller: ReaderDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DeliveryList:
    """List what was sent or will be, the newest first: the latest 200 of a week."""
    hook = await _own(webhook_id, services, caller)
    return DeliveryList(
        deliveries=[delivery_status(one) for one in await services.webhooks.deliveries(hook, limit=limit)]
    )


@router.post(
    "/{webhook_id}/test", status_code=202, responses={202: {"links": _OF_A_DELIVERY}, **problems(404, 422, 503)}
)
async def test_webhook(webhook_id: WebhookId, services: ServicesDep, caller: SpeakerDep) -> DeliveryStatus:
    """Have an event `webhook.test` sent; look for it among the deliveries."""
    hook = await _own(_registered(webhook_id), services, caller)
    return delivery_status(await services.webhooks.test(hook))


@router.post("/{webhook_id}/deliveries/{delivery_id}/redeliver", status_code=202, responses=problems(404, 422, 503))
async def redeliver(
    webhook_id: WebhookId, delivery_id: DeliveryId, services: ServicesDep, caller: SpeakerDep
) -> DeliveryStatus:
    """Have an event sent again, with the same webhook-id."""
    hook = await _own(webhook_id, services, caller)
    delivery = await services.webhooks.delivery(hook, delivery_id)
    anew = await services.webhooks.again(delivery) if delivery else None
    if anew is None:
        raise DeliveryNotFound(delivery_id)
    return delivery_status(anew)


@sent.post("job.ended", status_code=204)
def job_ended(  # pyright: ignore[reportUnusedParameter] - it is documentation
    body: JobEnded,
    webhook_id: Annotated[str, Header(alias="webhook-id", description="The same at each try of one event.")],
    webhook_timestamp: Annotated[int, Header(alias="webhook-timestamp", description="Of this try, in Unix seconds.")],
    webhook_signature: Annotated[
        str, Header(alias="webhook-signature", description="`v1,` and base64; several while a secret is renewed.")
    ],
) -> None:
    """A job has ended. Signed as Standard Webhooks has it; answer with 2xx within 15 s. docs/webhooks.md."""


def _registered(webhook_id: str) -> str:
    """Return the id, if not of the one that stands for the URLs of jobs: it has none of its own."""
    if webhook_id == OF_JOBS:
        raise WebhookNotFound(webhook_id)
    return webhook_id


async def _own(webhook_id: str, services: Services, caller: Caller) -> Webhook:
    hook = await services.webhooks.find(caller.tenant, webhook_id)
    if hook is None:
        raise WebhookNotFound(webhook_id)
    return hook


async def _changed(
    webhook_id: str, services: Services, caller: Caller, change: Callable[[Webhook], Webhook]
) -> Webhook:
    """Change a webhook as it is, however often somebody else is faster."""
    while True:
        was = await _own(webhook_id, services, caller)
        hook = change(was)
        if await services.webhooks.write(hook, was=was):
            return hook
