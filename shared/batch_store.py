"""Batches in Redis: the workers' and the sweeper's store, and the gateway's. A change is one compare-and-set."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from shared import records
from shared.batches import Batch, BatchView, Terms, Wanted, without_pass
from shared.changes import IDEMPOTENCY_SECONDS
from shared.errors import BatchConflict
from shared.limits import Limits
from shared.ports import Catalogue
from shared.redis_clients import hasty_client, patient_client, translated

EXPIRING = "batches:expiring"  # ids of all batches, by when the sweeper has to look at them
BEGINNING = "batches:beginning"  # ids of those whose pass has no job yet, by since when

# Write the record if it is as it was read, with its indexes.
# KEYS: batch, its tenant's batches, expiring, its events, garbage, uploading, idempotency key or what is no key,
#   beginning.
# ARGV: was, new, id, look at ("": no pass begins; 0: it is deleted), event, channel, source, value of the idempotency
#   key or "", its seconds, now, garbage...
# Returns 1, 0 if it had changed before, or whose the idempotency key is.
WRITE = """
if ARGV[8] ~= '' then
  local taken = redis.call('GET', KEYS[7])
  if taken then return taken end
end
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[8] ~= '' then redis.call('SET', KEYS[7], ARGV[8], 'EX', ARGV[9]) end
redis.call('SET', KEYS[1], ARGV[2])
if ARGV[4] ~= '' then
  if ARGV[4] == '0' then redis.call('ZREM', KEYS[2], ARGV[3]) else redis.call('ZADD', KEYS[2], 0, ARGV[3]) end
  redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3])
  redis.call('ZADD', KEYS[8], ARGV[10], ARGV[3])
end
redis.call('XADD', KEYS[4], 'MAXLEN', '~', 200, '*', 'data', ARGV[5])
redis.call('PUBLISH', ARGV[6], ARGV[3])
redis.call('ZREM', KEYS[6], ARGV[7])
for n = 11, #ARGV do redis.call('ZADD', KEYS[5], ARGV[10], ARGV[n]) end
return 1
"""

Decide = Callable[[Batch], Batch | None]  # None: leave it as it is


def batch_key(batch_id: str) -> str:
    return f"batch:{batch_id}"


def batches_key(tenant: str) -> str:
    """The ids of a tenant's batches."""
    return records.of_tenant(tenant, "batches")


def _key_key(tenant: str, key: str) -> str:
    return records.of_tenant(tenant, f"batch_key:{key}")


def dump(batch: Batch) -> str:
    return json.dumps(asdict(batch), ensure_ascii=False, separators=(",", ":"))


def load(raw: str) -> Batch:
    fields: dict[str, Any] = json.loads(raw)
    terms: dict[str, Any] = fields.pop("terms")
    return Batch(
        terms=Terms(limits=Limits(**terms.pop("limits")), **terms),
        wanted=Wanted(fields.pop("wanted")),
        error_parts=tuple(fields.pop("error_parts")),
        **fields,
    )


def _arguments(  # noqa: PLR0913 - every argument by name
    raw: str, batch: Batch, *, look_at: float | None, key: str = "", fingerprint: str = "", garbage: Sequence[str] = ()
) -> dict[str, list[Any]]:
    names = [batch_key(batch.id), batches_key(batch.tenant), EXPIRING, records.events_key(batch.id)]
    names += [records.GARBAGE, records.UPLOADING, _key_key(batch.tenant, key), BEGINNING]
    event = {"batch": batch.id, "wanted": batch.wanted, "lines_read": batch.lines_read}
    owner = json.dumps([batch.id, fingerprint]) if key else ""
    look = "" if look_at is None else str(look_at)
    arguments = [raw, dump(batch), batch.id, look, json.dumps(event), records.CHANGED, batch.source_key]
    return {"keys": names, "args": [*arguments, owner, IDEMPOTENCY_SECONDS, time.time(), *garbage]}


class RedisBatches:
    """The workers' and the sweeper's side. Calls wait out a restart of Redis."""

    def __init__(self, url: str) -> None:
        self._redis: Any = patient_client(url)
        self._write = self._redis.register_script(WRITE)

    def get(self, batch_id: str) -> Batch | None:
        with translated():
            raw = self._redis.get(batch_key(batch_id))
        return load(raw) if raw else None

    def change(self, batch_id: str, decide: Decide) -> Batch | None:
        """Apply `decide` to the batch as it is, until no other change comes between; return the batch as it is then."""
        with translated():
            while raw := self._redis.get(batch_key(batch_id)):
                batch = load(raw)
                changed = decide(batch)
                if changed is None or changed == batch:
                    return batch
                if self._write(**_arguments(raw, changed, look_at=None)) == 1:
                    return changed
        return None

    def catalogue(self) -> Catalogue | None:
        """What the engine offers that speaks the lines."""
        with translated():
            raw = self._redis.get(records.CATALOGUE)
        return records.load_catalogue(raw) if raw else None

    def due(self, *, now: float, limit: int) -> list[str]:
        """Return the ids of batches that the sweeper has to look at."""
        with translated():
            return self._redis.zrange(EXPIRING, "-inf", now, byscore=True, offset=0, num=limit)

    def look_later(self, batch_id: str, at: float) -> None:
        with translated():
            self._redis.zadd(EXPIRING, {batch_id: at}, xx=True)

    def not_begun(self, *, before: float, limit: int) -> list[str]:
        """Return the ids of batches that were recorded until then, and whose pass has no job yet."""
        with translated():
            return self._redis.zrange(BEGINNING, "-inf", before, byscore=True, offset=0, num=limit)

    def begun(self, batch_id: str) -> None:
        """Its pass has a job."""
        with translated():
            self._redis.zrem(BEGINNING, batch_id)

    def unlisted(self, batch_id: str) -> None:
        """There is no such batch."""
        with translated():
            self._redis.zrem(EXPIRING, batch_id)

    def last_change(self, batch: Batch) -> float:
        """Return when anything of the batch changed last."""
        with translated():
            latest = self._redis.xrevrange(records.events_key(batch.id), count=1)
        return int(latest[0][0].partition("-")[0]) / 1000 if latest else batch.created_at

    def forget(self, batch: Batch) -> None:
        """Forget a batch whose jobs are gone; its objects are garbage."""
        with translated(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.zadd(records.GARBAGE, dict.fromkeys(batch.keys, time.time()))
            pipeline.delete(batch_key(batch.id), records.events_key(batch.id))
            pipeline.delete(records.counts_key(batch.id), records.children_key(batch.id))
            for index in (batches_key(batch.tenant), EXPIRING, BEGINNING):
                pipeline.zrem(index, batch.id)
            pipeline.execute()


class AsyncBatches(Protocol):
    """What the gateway asks of batches."""

    async def uploading(self, key: str) -> None:
        """An object is about to be stored; without a record that has it, it is deleted later."""
        ...

    async def create(self, batch: Batch, *, key: str, fingerprint: str) -> Batch:
        """Record a new batch, and return it; or the one that its tenant's idempotency key belongs to.

        Raises:
            BatchConflict: the key belongs to a batch with another fingerprint.
        """
        ...

    async def sent_before(self, tenant: str, *, key: str, fingerprint: str) -> Batch | None:
        """Return the batch that the tenant's idempotency key belongs to.

        Raises:
            BatchConflict: it has another fingerprint.
        """
        ...

    async def open_lines(self, tenant: str) -> int:
        """Return how many lines of the tenant's batches are jobs that have not ended."""
        ...

    async def begun(self, batch_id: str) -> None:
        """Its pass has a job. Until this is told, the sweeper sees to it that there will be one."""
        ...

    async def view(self, batch_id: str) -> BatchView | None: ...

    async def change(self, batch_id: str, decide: Decide, *, garbage: Callable[[Batch], Sequence[str]]) -> Batch | None:
        """Apply `decide` to the batch as it is; return it as it is then, None if it is not there.

        Args:
            garbage: the objects of the batch, as it was, that it lets go of.
        """
        ...

    async def page(self, tenant: str, *, before: str | None, limit: int) -> list[BatchView]:
        """Batches of the tenant from the newest to the oldest, beginning after the batch `before`."""
        ...


class AsyncRedisBatches:
    """The gateway's side."""

    def __init__(self, url: str) -> None:
        self._redis: Any = hasty_client(url)
        self._write = self._redis.register_script(WRITE)

    async def uploading(self, key: str) -> None:
        with translated():
            await self._redis.zadd(records.UPLOADING, {key: time.time()})

    async def create(self, batch: Batch, *, key: str, fingerprint: str) -> Batch:
        look_at = batch.created_at + batch.keep_seconds
        while True:
            with translated():
                reply = await self._write(**_arguments("", batch, look_at=look_at, key=key, fingerprint=fingerprint))
            if not isinstance(reply, str):
                return batch  # 0: recorded by this very call, whose first reply was lost
            if owner := await self.sent_before(batch.tenant, key=key, fingerprint=fingerprint):
                return owner

    async def sent_before(self, tenant: str, *, key: str, fingerprint: str) -> Batch | None:
        with translated():
            told = await self._redis.get(_key_key(tenant, key))
            if told is None:
                return None
            owner, owners_fingerprint = json.loads(told)
            if owners_fingerprint != fingerprint:
                raise BatchConflict(owner)
            raw = await self._redis.get(batch_key(owner))
            if raw and (found := load(raw)).wanted is not Wanted.DELETE:
                return found
            await self._redis.delete(_key_key(tenant, key))  # it was deleted: the key is free
        return None

    async def open_lines(self, tenant: str) -> int:
        with translated():
            return int(await self._redis.get(records.open_lines_key(tenant)) or 0)

    async def begun(self, batch_id: str) -> None:
        with translated():
            await self._redis.zrem(BEGINNING, batch_id)

    async def view(self, batch_id: str) -> BatchView | None:
        return next(iter(await self._views([batch_id])), None)

    async def change(self, batch_id: str, decide: Decide, *, garbage: Callable[[Batch], Sequence[str]]) -> Batch | None:
        with translated():
            while raw := await self._redis.get(batch_key(batch_id)):
                batch = load(raw)
                changed = decide(batch)
                if changed is None or changed == batch:
                    return batch
                look_at = 0 if changed.wanted is Wanted.DELETE else time.time() + batch.keep_seconds
                if await self._write(**_arguments(raw, changed, look_at=look_at, garbage=garbage(batch))) == 1:
                    return changed
        return None

    async def page(self, tenant: str, *, before: str | None, limit: int) -> list[BatchView]:
        newest = f"({before}" if before else "+"
        with translated():
            ids: Sequence[str] = await self._redis.zrange(
                batches_key(tenant), newest, "-", desc=True, bylex=True, offset=0, num=limit
            )
        return await self._views(ids)

    async def _views(self, ids: Sequence[str]) -> list[BatchView]:
        """Read each record with its counts and the job of its pass, all of one moment."""
        if not ids:
            return []
        with translated():
            raw: list[str | None] = await self._redis.mget([batch_key(one) for one in ids])
            known = [load(one) for one in raw if one]  # says which job it is
            async with self._redis.pipeline(transaction=True) as pipeline:
                for batch in known:
                    pipeline.get(batch_key(batch.id))
                    pipeline.hgetall(records.counts_key(batch.id))
                    pipeline.get(records.job_key(batch.ingest_job))
                    pipeline.zscore(BEGINNING, batch.id)
                replies = await pipeline.execute()
        views = [_view(*replies[n : n + 4]) for n in range(0, len(replies), 4) if replies[n]]
        passes = {batch.id: batch.passes for batch in known}
        if any(view.batch.passes != passes[view.batch.id] for view in views):  # another pass was begun in between
            return await self._views(ids)
        return [view for view in views if view.batch.wanted is not Wanted.DELETE]

    async def close(self) -> None:
        await self._redis.aclose()


def _view(raw: str, counts: dict[str, int], raw_ingest: str | None, beginning: float | None) -> BatchView:
    ingest = records.load_job(raw_ingest) if raw_ingest else None
    return BatchView(load(raw), without_pass(counts, ingest), ingest, beginning=beginning is not None)
