"""Webhooks in Redis: the gateway's side, which keeps them, and the side of those who deliver."""

import json
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from shared import records
from shared.jobs import Audio, SpeechRequest
from shared.redis_clients import hasty_client, patient_client, translated
from shared.webhooks import (
    DUE,
    HOOKS_OF_JOBS,
    KEEP_DELIVERIES,
    KEEP_SECONDS,
    OF_JOBS,
    TEST,
    Delivery,
    DeliveryState,
    Event,
    Webhook,
    delivery_key,
    delivery_of,
    dump,
    event_key,
    health_key,
    history_key,
    hooks_key,
    load_delivery,
    load_webhook,
    wanting,
)

Command = list[str]

SENT_AGAIN_SECONDS = 600.0  # a message that was not taken by then is lost, or the lane is far behind
# Write a field only if it is still as it was read; "" for none.
SWAP = (
    "if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end "
    "redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) return 1"
)
FREE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class AsyncWebhooks(Protocol):
    """What the gateway needs."""

    async def all(self, tenant: str) -> list[Webhook]:
        """Return the tenant's webhooks, the oldest first."""
        ...

    async def find(self, tenant: str, webhook_id: str) -> Webhook | None:
        """Return one of them; `jobs` is the one that stands for the URLs of jobs, once it has a secret."""
        ...

    async def write(self, webhook: Webhook, *, was: Webhook | None) -> bool:
        """Write a webhook that is still as it was read, or not there; return whether that was so."""
        ...

    async def enable(self, webhook: Webhook) -> None:
        """Forget that it failed."""
        ...

    async def remove(self, webhook: Webhook) -> None:
        """Forget the webhook and its history. What is on its way to it is dropped."""
        ...

    async def deliveries(self, webhook: Webhook, *, limit: int) -> list[Delivery]:
        """Return what was or will be sent, the newest first."""
        ...

    async def delivery(self, webhook: Webhook, event_id: str) -> Delivery | None: ...

    async def test(self, webhook: Webhook) -> Delivery:
        """Have a test sent."""
        ...

    async def again(self, delivery: Delivery) -> Delivery | None:
        """Have an event sent again; None if it is not kept any more."""
        ...


class AsyncRedisWebhooks:
    """The gateway's side."""

    def __init__(self, url: str) -> None:
        self._redis: Any = hasty_client(url)

    async def all(self, tenant: str) -> list[Webhook]:
        with translated():
            found: dict[str, str] = await self._redis.hgetall(hooks_key(tenant))
            health: dict[str, str] = await self._redis.hgetall(health_key(tenant)) if found else {}
        return loaded(found, health)

    async def find(self, tenant: str, webhook_id: str) -> Webhook | None:
        with translated():
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.hget(*_place(tenant, webhook_id))
                pipeline.hgetall(health_key(tenant))
                raw, health = await pipeline.execute()
        return loaded({webhook_id: raw}, health)[0] if raw else None

    async def write(self, webhook: Webhook, *, was: Webhook | None) -> bool:
        key, name = _place(webhook.tenant, webhook.id)
        with translated():
            raw: str | None = await self._redis.hget(key, name)
            if (load_webhook(raw) if raw else None) != (was and replace(was, failing_since=None, disabled="")):
                return False
            return await self._redis.eval(SWAP, 1, key, name, raw or "", dump(webhook)) == 1

    async def enable(self, webhook: Webhook) -> None:
        with translated():
            await self._redis.hdel(health_key(webhook.tenant), *_health_fields(webhook.id))

    async def remove(self, webhook: Webhook) -> None:
        with translated():
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.hdel(*_place(webhook.tenant, webhook.id))
                pipeline.hdel(health_key(webhook.tenant), *_health_fields(webhook.id))
                pipeline.delete(history_key(webhook.tenant, webhook.id))
                await pipeline.execute()

    async def deliveries(self, webhook: Webhook, *, limit: int) -> list[Delivery]:
        with translated():
            names = await self._redis.zrange(history_key(webhook.tenant, webhook.id), 0, limit - 1, desc=True)
            raw: list[str | None] = await self._redis.mget([delivery_key(name) for name in names]) if names else []
        return [load_delivery(one) for one in raw if one]

    async def delivery(self, webhook: Webhook, event_id: str) -> Delivery | None:
        name = f"{event_id}:{webhook.id}"
        with translated():
            if await self._redis.zscore(history_key(webhook.tenant, webhook.id), name) is None:  # also of other tenants
                return None
            raw = await self._redis.get(delivery_key(name))
        return load_delivery(raw) if raw else None

    async def test(self, webhook: Webhook) -> Delivery:
        now = time.time()
        event = Event(f"evt_test_{secrets.token_hex(16)}", TEST, now, webhook.tenant)
        fields = {"id": event.id, "type": event.type, "at": str(now), "tenant": event.tenant}
        delivery = delivery_of(event, webhook.id, now=now)
        with translated():
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.hset(event_key(event.id), mapping=fields)
                pipeline.expire(event_key(event.id), KEEP_SECONDS)
                for command in new_delivery_commands(delivery):
                    pipeline.execute_command(*command)
                await pipeline.execute()
        return delivery

    async def again(self, delivery: Delivery) -> Delivery | None:
        anew = delivery.again(now=time.time())
        with translated():
            if not await self._redis.exists(event_key(delivery.event_id)):
                return None
            async with self._redis.pipeline(transaction=True) as pipeline:
                for command in delivery_commands(anew):
                    pipeline.execute_command(*command)
                await pipeline.execute()
        return anew

    async def close(self) -> None:
        await self._redis.aclose()


class RedisWebhooks:
    """The side of the sweeper, which has sent what is due, and of the workers, who send it."""

    def __init__(self, url: str) -> None:
        self._redis: Any = patient_client(url)

    def due(self, *, now: float, limit: int) -> list[str]:
        """Return the names of events and deliveries whose time has come, the oldest first."""
        with translated():
            return self._redis.zrange(DUE, "-inf", now, byscore=True, offset=0, num=limit)

    def waiting(self) -> int:
        """Return how many there are, their time come or not."""
        with translated():
            return self._redis.zcard(DUE)

    def put_off(self, name: str, *, until: float) -> None:
        """Let something be due later, if it still is."""
        with translated():
            self._redis.zadd(DUE, {name: until}, xx=True)

    def split(self, event_id: str, *, now: float) -> list[Delivery]:
        """Make an event's deliveries, all or none. Done twice, the later one finds them made."""
        event = self.event(event_id)
        deliveries: list[Delivery] = []
        with translated():
            if event:
                hooks = loaded(
                    self._redis.hgetall(hooks_key(event.tenant)), self._redis.hgetall(health_key(event.tenant))
                )
                deliveries = [delivery_of(event, hook, now=now) for hook in wanting(event, hooks)]
            commands = [command for each in deliveries for command in new_delivery_commands(each)]
            self._run([*commands, ["ZREM", DUE, event_id]])
        return deliveries

    def event(self, event_id: str) -> Event | None:
        with translated():
            fields: dict[str, str] = self._redis.hgetall(event_key(event_id))
        return _load_event(fields) if fields else None

    def claim(self, name: str, *, token: str, seconds: float) -> bool:
        """Whether this delivery is ours to try for that long."""
        with translated():
            return bool(self._redis.set(_claim_key(name), token, nx=True, px=int(seconds * 1000)))

    def load(self, name: str) -> tuple[Delivery, Event, Webhook] | None:
        """Return what is to be sent where; None if it is not wanted any more."""
        event_id, _, webhook_id = name.rpartition(":")
        with translated():
            raw = self._redis.get(delivery_key(name))
            delivery, event = load_delivery(raw) if raw else None, self.event(event_id)
            if delivery is None or event is None or delivery.state is not DeliveryState.WAITING:
                return None
            hook = self._redis.hget(*_place(event.tenant, webhook_id))
            health = self._redis.hgetall(health_key(event.tenant))
        return (delivery, event, loaded({webhook_id: hook}, health)[0]) if hook else None

    def settle(self, delivery: Delivery, *, token: str) -> None:
        """Write down what came of a try, and free the claim."""
        with translated():
            self._run(delivery_commands(delivery))
            self._redis.eval(FREE, 1, _claim_key(delivery.name), token)

    def drop(self, name: str) -> None:
        """It is not wanted any more."""
        with translated():
            self._redis.zrem(DUE, name)

    def works(self, webhook: Webhook) -> None:
        """It took something: it does not fail."""
        with translated():
            self._redis.hdel(health_key(webhook.tenant), _health_fields(webhook.id)[0])

    def fails(self, webhook: Webhook, *, now: float) -> float:
        """Return since when it has taken nothing."""
        key, (since, _) = health_key(webhook.tenant), _health_fields(webhook.id)
        with translated():
            self._redis.hsetnx(key, since, str(now))
            return float(self._redis.hget(key, since) or now)

    def disable(self, webhook: Webhook, reason: str) -> bool:
        """Tell it nothing more until its owner enables it; return whether that is new."""
        with translated():
            return bool(self._redis.hset(health_key(webhook.tenant), _health_fields(webhook.id)[1], reason))

    def _run(self, commands: Sequence[Command]) -> None:
        with self._redis.pipeline(transaction=True) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            pipeline.execute()


def delivery_commands(delivery: Delivery) -> list[Command]:
    """Return the commands that write a delivery and when it is due."""
    when: Command = ["ZREM", DUE, delivery.name]
    if delivery.next_at is not None:
        when = ["ZADD", DUE, str(delivery.next_at), delivery.name]
    return [["SET", delivery_key(delivery.name), dump(delivery), "EX", str(KEEP_SECONDS)], when]


def new_delivery_commands(delivery: Delivery) -> list[Command]:
    history = history_key(delivery.tenant, delivery.webhook_id)
    return [
        *delivery_commands(delivery),
        ["ZADD", history, str(delivery.created_at), delivery.name],
        ["ZREMRANGEBYRANK", history, "0", str(-KEEP_DELIVERIES - 1)],
        ["EXPIRE", history, str(KEEP_SECONDS)],
    ]


def loaded(found: dict[str, str], health: dict[str, str]) -> list[Webhook]:
    """Return webhooks by their records and by how they do."""
    hooks: list[Webhook] = []
    for webhook_id, raw in found.items():
        since, disabled = (health.get(name) for name in _health_fields(webhook_id))
        hooks.append(load_webhook(raw, failing_since=since, disabled=disabled))
    return sorted(hooks, key=lambda hook: (hook.created_at, hook.id))


def _place(tenant: str, webhook_id: str) -> tuple[str, str]:
    """Return in which hash a webhook is, and under which name."""
    return (HOOKS_OF_JOBS, tenant) if webhook_id == OF_JOBS else (hooks_key(tenant), webhook_id)


def _health_fields(webhook_id: str) -> tuple[str, str]:
    return f"{webhook_id} failing_since", f"{webhook_id} disabled"


def _claim_key(name: str) -> str:
    return f"webhook_claim:{name}"


def _load_event(fields: dict[str, str]) -> Event:
    job, request, audio = (fields.get(name, "") for name in ("job", "request", "audio"))
    return Event(
        fields["id"],
        fields["type"],
        float(fields["at"]),
        fields["tenant"],
        records.load_job(job) if job else None,
        SpeechRequest(text="", **json.loads(request)) if request else None,
        _load_audio(json.loads(audio)) if audio else None,
    )


def _load_audio(fields: dict[str, Any]) -> Audio:
    warnings: Iterable[str] = fields.pop("warnings", ())  # Lua writes {} for an empty list
    return Audio(**fields, warnings=tuple(warnings))
