"""Delete a voice of a tenant's own, or its former clip, with all that was made of it.

It is gone at once; what takes longer, and what a worker was just about to store, sweeper/voices.py deletes.
"""

import time
from collections.abc import Sequence
from contextlib import suppress

from anyio import to_thread

from gateway.delivery import DELETING_SECONDS, delete_objects
from gateway.dependencies import Services
from shared.errors import AudioMissing, StorageUnavailable, StoreUnavailable
from shared.ports import JobView
from shared.voice_library import LibraryVoice, embeddings_of, ended, is_library_voice, parse, revision_folder

PAGE = 500


async def delete(voice: LibraryVoice, services: Services) -> None:
    """Delete a voice: its record, its clips, what engines made of them, and the audio that was spoken with it."""
    over = await services.voices.change(voice.id, ended)
    if over is None:
        return
    until = time.monotonic() + DELETING_SECONDS
    with suppress(StorageUnavailable, StoreUnavailable, TimeoutError):
        await _remove_jobs(over, services)
        await _leave_clip(over, services)
        await _delete(over.folder, services, until=until)
        for revision in range(1, over.revision + 1):
            await _delete_audio(over.id, revision, services, until=until)


async def delete_former(was: LibraryVoice, services: Services) -> None:
    """Delete the clip that a voice had before, with all that was made of it."""
    until = time.monotonic() + DELETING_SECONDS
    with suppress(StorageUnavailable, StoreUnavailable, TimeoutError):
        if was.job:
            await _remove_job(was.job, services)
        await _leave_clip(was, services)
        await _delete(revision_folder(was.id, was.revision), services, until=until)
        await _delete_audio(was.id, was.revision, services, until=until)


async def delete_brought(view: JobView, services: Services) -> None:
    """Delete the voice that a job came with, if it did."""
    if is_library_voice(view.request.voice):
        voice = await services.voices.get(parse(view.request.voice)[0])
        if voice and voice.brought_by == view.job.id:
            await delete(voice, services)


async def _remove_jobs(voice: LibraryVoice, services: Services) -> None:
    after = ""
    while ids := await services.children.page(voice.uuid, after=after, limit=PAGE):
        for job_id in ids:
            await _remove_job(job_id, services)
        after = ids[-1]  # an id whose job is gone already stays there


async def _remove_job(job_id: str, services: Services) -> None:
    await services.jobs.cancel(job_id)
    await delete_objects(await services.jobs.remove(job_id), services)


async def _leave_clip(voice: LibraryVoice, services: Services) -> None:
    """Have the clip's embeddings go, unless another voice has the same clip."""
    if voice.clip_sha256 and await services.voices.leave_clip(voice):
        await _delete(embeddings_of(voice.clip_sha256), services, until=time.monotonic() + DELETING_SECONDS)


async def _delete(prefix: str, services: Services, *, until: float) -> None:
    keys = await to_thread.run_sync(lambda: list(services.objects.keys(prefix)))
    for key in keys:
        _in_time(until)
        with suppress(AudioMissing):
            await to_thread.run_sync(services.objects.delete, key)


async def _delete_audio(voice_id: str, revision: int, services: Services, *, until: float) -> None:
    """Delete the audio that was spoken with it. From here on nobody finds it, whether its object is gone or not."""
    first, doomed = 0, list[str]()
    while keys := await services.voices.doom(voice_id, revision, first=first, most=PAGE):
        doomed += keys
        first += len(keys)
    for keys in _pages(doomed):
        _in_time(until)
        await delete_objects(keys, services)


def _pages(keys: Sequence[str]) -> list[list[str]]:
    return [list(keys[start : start + PAGE]) for start in range(0, len(keys), PAGE)]


def _in_time(until: float) -> None:
    if time.monotonic() > until:
        raise TimeoutError
