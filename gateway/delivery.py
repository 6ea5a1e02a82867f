"""Hand out audio that is what the record says; have made again what was lost."""

import hashlib
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from anyio import to_thread
from fastapi import Response
from fastapi.responses import RedirectResponse, StreamingResponse
from starlette.concurrency import iterate_in_threadpool

from gateway.dependencies import Services
from gateway.ranges import Asked, ByteRange
from shared.errors import (
    AudioExpired,
    AudioLost,
    AudioMissing,
    AudioNotReady,
    QueueUnavailable,
    StorageUnavailable,
    StoreUnavailable,
    VoiceDeleted,
)
from shared.jobs import Audio, JobState, SpeechRequest
from shared.ports import JobView
from shared.shown import attachment
from shared.voice_library import is_library_voice, parse

log = logging.getLogger(__name__)

DELETING_SECONDS = 5.0  # well below the sweeper's patience, after which it deletes them too


class AudioDamaged(AudioMissing):
    """The stored object is not what the record says."""


@dataclass(frozen=True)
class AudioFile:
    """The audio of a job, and how it is called where it is saved."""

    job_id: str
    audio: Audio
    name: str
    content_type: str


async def handed_out(file: AudioFile, asked: Asked, services: Services) -> Response:
    """Return the answer with the file, a range of its bytes, or a link to it; to HEAD only its headers.

    Raises:
        AudioLost: its object is gone; it is being made again.
        RangeNotSatisfiable: no byte of the range exists.
    """
    audio = file.audio
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{audio.sha256}"',
        "Content-Disposition": attachment(file.name),
    }
    wanted = asked.of(audio.bytes, etag=headers["ETag"])
    part = wanted or ByteRange(0, audio.bytes)
    headers |= {"Content-Length": str(part.length)}
    if wanted:
        headers["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{audio.bytes}"
    status = 206 if wanted else 200
    redirects = services.settings.audio_delivery == "redirect"
    if wanted or redirects or asked.head:
        await check_there(file.job_id, audio, services)
    if asked.head:  # also where a GET is redirected: a presigned link is for one method
        return Response(status_code=status, headers=headers, media_type=file.content_type)
    if redirects:
        return RedirectResponse(link(file, services), 307)
    chunks = services.objects.read(audio.key, offset=part.start, length=part.length)
    body = await _opened(file.job_id, chunks if wanted else verified(chunks, audio), services)
    return StreamingResponse(body, status, headers=headers, media_type=file.content_type)


def link(file: AudioFile, services: Services) -> str:
    """Return a presigned link to the object."""
    seconds, content_type = services.settings.link_seconds, file.content_type
    return services.objects.link(file.audio.key, seconds=seconds, file_name=file.name, content_type=content_type)


async def _opened(job_id: str, chunks: Iterator[bytes], services: Services) -> AsyncIterator[bytes]:
    """Return the body, once its first chunk is there: before the status goes out, a lost object can still be told."""
    try:
        first = await to_thread.run_sync(next, chunks, b"")
    except AudioMissing:
        await make_again(job_id, services)

    async def body() -> AsyncIterator[bytes]:
        yield first
        try:
            async for chunk in iterate_in_threadpool(chunks):
                yield chunk
        except AudioDamaged:  # the connection breaks off: the client does not get the rest
            with suppress(AudioLost):
                await make_again(job_id, services)
            raise

    return body()


async def audio_of(view: JobView, services: Services) -> Audio:
    """Return the audio of a job.

    Raises:
        AudioNotReady, AudioExpired, VoiceDeleted: it has none yet, or none any more.
        AudioLost: it should have one; it is being made again.
    """
    if view.audio:
        return view.audio
    if view.job.state is JobState.EXPIRED:
        raise AudioExpired
    if view.job.failure and view.job.failure.code == VoiceDeleted.code:
        raise VoiceDeleted
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
        VoiceDeleted: it may not be spoken again: a voice of its owner's is gone.
        AudioLost: always, else.
    """
    if view := await services.jobs.view(job_id):
        await check_voices(view.request, services)
    log.error("the audio of a job is lost and is made again", extra={"job_id": job_id})
    reopened = await services.jobs.reopen(job_id)
    try:
        if reopened:  # else another reader was faster
            for step in reopened.steps:
                await services.queue.enqueue(job_id, step, lane=reopened.job.lane_of(step))
    except QueueUnavailable:
        log.warning("the broker is away: the sweeper will enqueue the job", extra={"job_id": job_id})
    raise AudioLost


async def check_voices(request: SpeechRequest, services: Services) -> None:
    """Look whether the owner's own voices are still what they were when the job was accepted.

    Raises:
        VoiceDeleted: one of them was deleted, or has another clip; what was spoken with it went.
    """
    narration = request.narration
    named = (request.voice, *((narration.dialogue_voice, *narration.speakers.values()) if narration else ()))
    for voice_id, revision in (parse(one) for one in dict.fromkeys(named) if is_library_voice(one)):
        voice = await services.voices.get(voice_id)
        if voice is None or voice.over or voice.revision != revision:
            raise VoiceDeleted(voice_id)


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
