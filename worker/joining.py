"""Join the segments of a long job into one audio, piece by piece, and store it."""

import hashlib
import io
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from shared import jobs as lifecycle
from shared.audio_address import audio_address, audio_key
from shared.audio_formats import FORMATS
from shared.jobs import Audio, Job, Outcome, SpeechRequest
from shared.ports import Segment
from worker.encoding import Encoder, decode
from worker.engine.waveform import Waveform, silence
from worker.lease import Lease, StepLost
from worker.runtime import Runtime

HASH_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Joined:
    """The audio in a file, and when its words sound."""

    seconds: float
    words: tuple[tuple[str, float, float], ...]


def join_job(job: Job, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Join the job's segments with their pauses, resample and encode once, store, and finish the job.

    Raises:
        StepLost: the job was cancelled or has ended, or another worker has the step.
        JobError: a segment is gone, or the object store is away.
    """
    spoken = runtime.jobs.segment_audio(job.id)
    address = audio_address(request, engine_revision="+".join(one.address for one in spoken))
    with tempfile.TemporaryFile() as file:
        joined = _write(file, spoken, runtime.jobs.segments(job.id), request, lease, runtime)
        audio = _stored(file, joined, address, request, runtime)
    change = runtime.jobs.change(
        job.id,
        lifecycle.JOIN,
        lambda now, step: lifecycle.finish_join(now, step, token=lease.token, now=time.time(), audio=audio),
        audio=audio,
    )
    if change is None or change.outcome is not Outcome.APPLIED:
        raise StepLost(change.outcome if change else Outcome.MISSING)


def _write(  # noqa: PLR0913 - file and sources, each by name
    file: BinaryIO,
    spoken: list[Audio],
    segments: list[Segment],
    request: SpeechRequest,
    lease: Lease,
    runtime: Runtime,
) -> Joined:
    words: list[tuple[str, float, float]] = []
    rate = spoken[0].sample_rate
    samples = 0
    with Encoder(file, format=request.format, source_rate=rate, sample_rate=request.sample_rate) as encoder:
        for audio, waveform in _waveforms(spoken, lease, runtime):
            offset = samples / rate
            words += [(word, start + offset, end + offset) for word, start, end in audio.words]
            last = audio is spoken[-1]
            pause = silence(0.0 if last else segments[spoken.index(audio)].pause_seconds, sample_rate=rate)
            for part in (waveform, pause):
                encoder.write(part.samples)
                samples += len(part.samples)
    return Joined(samples / rate, tuple(words))


def _waveforms(spoken: list[Audio], lease: Lease, runtime: Runtime) -> Iterator[tuple[Audio, Waveform]]:
    """Yield one segment at a time: a long job is never held whole."""
    for audio in spoken:
        lease.check()
        yield audio, decode(io.BytesIO(b"".join(runtime.objects.read(audio.key))))


def _stored(file: BinaryIO, joined: Joined, address: str, request: SpeechRequest, runtime: Runtime) -> Audio:
    form = FORMATS[request.format]
    key = audio_key(address, extension=form.extension)
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(HASH_BLOCK_BYTES):
        digest.update(block)
    file.seek(0)
    runtime.objects.put(key, file, length=length, content_type=form.content_type)
    return Audio(
        address=address,
        key=key,
        bytes=length,
        seconds=joined.seconds,
        sample_rate=request.sample_rate,
        format=request.format,
        sha256=digest.hexdigest(),
        words=joined.words,
    )
