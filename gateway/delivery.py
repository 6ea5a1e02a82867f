"""Hand out audio that is what the record says; have made again what was lost."""

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NoReturn

from anyio import to_thread

from gateway.dependencies import Services
from shared.errors import (
    AudioExpired,
    AudioLost,
    AudioMissing,
    AudioNotReady,
    QueueUnavailable,
    StorageUnavailable,
    StoreUnavailable,
)
from shared.jobs import Audio, JobState
from shared.ports import JobView

log = logging.getLogger(__name__)

DELETING_SECONDS = 5.0  # well below the sweeper's patience, after which it deletes them too


class AudioDamaged(AudioMissing):
    """The stored object is not what the record says."""


async def audio_of(view: JobView, services: Services) -> Audio:
    """Return the audio of a job.

    Raises:
        AudioNotReady, AudioExpired: it has none yet, or none any more.
        AudioLost: it should have one; it is being made again.
    """
    if view.audio:
        return view.audio
    if view.job.state is JobState.EXPIRED:
        raise AudioExpired
    if view.job.state is JobState.SUCCEEDED:  # its record was forgotten when its object was found to be gone
        await make_again(view.job.id, services)
    raise AudioNotReady(view.job.state)


async def check_there(job_id: str, audio: Audio, services: Services) -> None:
    """Look whether the object is there with its size, and make it again if not.

    Raises:
        AudioLost: it was not.
    """
    if not await to_thread.run_sync(lambda: services.objects.exists(audio.key, bytes=audio.bytes)):
        await make_again(job_id, services)


async def make_again(job_id: str, services: Services) -> NoReturn:
    """Have a job whose audio was lost spoken again, and say so.

    Raises:
        AudioLost: always.
    """
    log.error("the audio of a job is lost and is made again", extra={"job_id": job_id})
    reopened = await services.jobs.reopen(job_id)
    try:
        if reopened:  # else another reader was faster
            for step in reopened.steps:
                await services.queue.enqueue(job_id, step, lane=reopened.job.lane_of(step))
    except QueueUnavailable:
        log.warning("the broker is away: the sweeper will enqueue the job", extra={"job_id": job_id})
    raise AudioLost


async def delete_objects(keys: list[str], services: Services) -> None:
    """Delete objects that no record points to. What can't be deleted soon, the sweeper deletes later."""
    gone: list[str] = []
    until = time.monotonic() + DELETING_SECONDS
    with suppress(StorageUnavailable, StoreUnavailable):
        for key in keys:
            if time.monotonic() > until:
                break
            with suppress(AudioMissing):
                await to_thread.run_sync(services.objects.delete, key)
            gone.append(key)
        await services.jobs.deleted(gone)


def verified(chunks: Iterator[bytes], audio: Audio) -> Iterator[bytes]:
    """Yield the chunks, the last of them only when all together are what was stored.

    Raises:
        AudioDamaged: they are not; the reader has an incomplete body, never a wrong one.
    """
    digest, held = hashlib.sha256(), b""
    for chunk in chunks:
        digest.update(chunk)
        if held:
            yield held
        held = chunk
    if digest.hexdigest() != audio.sha256:
        raise AudioDamaged(audio.key)
    yield held
