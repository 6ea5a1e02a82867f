"""A new batch, and each pass over it: the file is stored, the batch recorded, its job recorded, then enqueued."""

import hashlib
import json
import logging
import time
from dataclasses import dataclass, replace
from typing import Any

import uuid_utils
from anyio import to_thread

from gateway.batch_file import BatchFile
from gateway.batch_schemas import BatchOptions
from gateway.dependencies import Services
from gateway.voice_offer import default_voice, offer_to
from shared import checking, tracing
from shared.accepted import REFUSED
from shared.batches import NO_SPEECH, Batch, Terms
from shared.checking import Offer
from shared.errors import JobError, QueueUnavailable, QuotaExceeded, StorageUnavailable
from shared.jobs import Lane
from shared.limits import Quota
from shared.ports import Recorded
from shared.templates import pieces_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NewBatch:
    """The batch that a request led to; `replayed` when an earlier request with the same key had made it."""

    batch: Batch
    replayed: bool


async def submit_batch(found: BatchFile, services: Services, *, key: str, tenant: str) -> NewBatch:
    """Accept a batch.

    Raises:
        JobError: its options can't be spoken so, or a server is away; then nothing is accepted.
    """
    offer = await offer_to(tenant, [found.options.defaults.voice], services)
    terms = await terms_of(tenant, offer, services)
    defaults = _checked(found.options, offer, terms)
    batch = Batch(
        id=str(uuid_utils.uuid7()),
        tenant=tenant,
        created_at=time.time(),
        source_bytes=found.source.bytes,
        source_sha256=found.source.sha256,
        lines=found.lines,
        first_line=found.first_line,
        terms=terms,
        name=found.options.name,
        defaults=defaults,
        template=found.options.template,
        keep_seconds=services.settings.keep_seconds,
        trace=tracing.current().traceparent,
    )
    made_of = _fingerprint(batch) if key else ""
    owner = await services.batches.sent_before(tenant, key=key, fingerprint=made_of) if key else None
    if owner is None:
        await _check_room(batch, services)
        owner = await _recorded(batch, found, services, key=key, made_of=made_of)
    await begin_pass(owner, services)
    return NewBatch(owner, replayed=owner.id != batch.id)


async def _recorded(batch: Batch, found: BatchFile, services: Services, *, key: str, made_of: str) -> Batch:
    """Return the batch once it is stored, or the one that another request with its key has made just now."""
    await _store(batch, found, services)
    owner = await services.batches.create(batch, key=key, fingerprint=made_of)
    if owner.id != batch.id:  # what was stored is no batch's, and is swept
        await _delete(batch, services)
    return owner


async def _check_room(batch: Batch, services: Services) -> None:
    """Refuse a batch that would have more lines open than its tenant may; each line is looked at again when it is read.

    Raises:
        QuotaExceeded: it has too many.
    """
    most, lines = batch.terms.limits.open_lines, batch.lines - batch.first_line + 1
    used = await services.batches.open_lines(batch.tenant) if most else 0
    if most and used + lines > most:
        REFUSED.labels(batch.tenant, Quota.LINES).inc()
        error = QuotaExceeded(Quota.LINES, limit=most, used=used, wanted=lines)
        raise await services.quotas.refusal(error, batch.tenant, await services.known.load(Lane.BULK))


async def terms_of(tenant: str, offer: Offer, services: Services) -> Terms:
    settings = services.settings
    limits = replace(await services.quotas.limits(tenant), concurrent_jobs=0)  # a batch's jobs are none of those
    return Terms(settings.max_text_characters, default_voice(offer, settings), limits)


async def begin_pass(batch: Batch, services: Services) -> None:
    """Record the job of the batch's pass, and enqueue it. Done twice, it is done once."""
    recorded = await services.jobs.create(batch.pass_job(now=time.time()), NO_SPEECH)
    await services.batches.begun(batch.id)
    try:
        for step in recorded.ready if isinstance(recorded, Recorded) else ():
            await services.queue.enqueue(step.job_id, step.step, lane=step.lane)
    except QueueUnavailable:
        log.warning("the broker is away: the sweeper will enqueue the batch's job")


def _checked(options: BatchOptions, offer: Offer, terms: Terms) -> dict[str, Any]:
    """Return the defaults that the batch has; what is wrong with them would be wrong with every line."""
    pieces_of(options.template)
    checking.checked("Hello", options.defaults, offer, longest=terms.longest_text, default_voice=terms.default_voice)
    return options.defaults.model_dump(exclude_unset=True)


def _fingerprint(batch: Batch) -> str:
    """Return a hash that is equal for equal files and options."""
    told = [batch.source_sha256, batch.name, batch.template, batch.defaults]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


async def _store(batch: Batch, found: BatchFile, services: Services) -> None:
    await services.batches.uploading(batch.source_key)
    await to_thread.run_sync(
        lambda: services.objects.put(
            batch.source_key, found.source.file, length=found.source.bytes, content_type="application/jsonl"
        )
    )


async def _delete(batch: Batch, services: Services) -> None:
    try:
        await to_thread.run_sync(services.objects.delete, batch.source_key)
    except (JobError, StorageUnavailable):
        log.warning("a batch's file is left to the sweeper")
