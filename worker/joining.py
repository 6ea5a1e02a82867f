"""Join the segments of a long job into one audio, piece by piece, and store it."""

import hashlib
import io
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from shared import jobs as lifecycle
from shared.audio_address import audio_address, audio_key
from shared.audio_formats import FORMATS
from shared.errors import AudioMissing
from shared.jobs import Audio, Job, Outcome, SpeechRequest
from shared.phonemes import Timed, pack, unpack
from worker.encoding import Encoder, NotAudio, decode
from worker.engine.waveform import Waveform, silence
from worker.lease import Lease, StepLost
from worker.runtime import Runtime
from worker.synthesis import merged

HASH_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Joined:
    """The audio in a file, and when its words and phonemes sound."""

    seconds: float
    words: tuple[Timed, ...]
    phonemes: str  # packed


def join_job(job: Job, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Join the job's segments with their pauses, resample and encode once, store, and finish the job.

    Raises:
        StepLost: the job was cancelled or has ended, or another worker has the step.
        JobError: a segment is gone or damaged, or the object store is away.
    """
    spoken = runtime.jobs.segment_audio(job.id)
    pauses = [segment.pause_seconds for segment in runtime.jobs.segments(job.id)[:-1]] + [0.0]
    address = audio_address(request, engine_revision="+".join(one.address for one in spoken))
    with tempfile.TemporaryFile() as file:
        rate = spoken[0].sample_rate
        with Encoder(file, format=request.format, source_rate=rate, sample_rate=request.sample_rate) as encoder:
            joined = _write(encoder, zip(spoken, _waveforms(spoken, lease, runtime), pauses, strict=True))
        audio = replace(
            _stored(file, joined, address, request, runtime), warnings=merged(one.warnings for one in spoken)
        )
    change = runtime.jobs.change(
        job.id,
        lifecycle.JOIN,
        lambda now, step: lifecycle.finish_join(now, step, token=lease.token, now=time.time(), audio=audio),
        audio=audio,
    )
    if change is None or change.outcome is not Outcome.APPLIED:
        raise StepLost(change.outcome if change else Outcome.MISSING)


def _write(encoder: Encoder, parts: Iterable[tuple[Audio, Waveform, float]]) -> Joined:
    """Encode each segment and the pause after it; its words and phonemes move to where it begins."""
    words: list[Timed] = []
    phonemes: list[Timed] = []
    begins = 0.0
    for audio, waveform, pause_seconds in parts:
        words += [(word, begins + start, begins + end) for word, start, end in audio.words]
        phonemes += unpack(audio.phonemes, begins=begins)
        pause = silence(pause_seconds, sample_rate=waveform.sample_rate)
        encoder.write(waveform.samples)
        encoder.write(pause.samples)
        begins += waveform.seconds + pause.seconds
    return Joined(begins, tuple(words), pack(phonemes))


def _waveforms(spoken: Sequence[Audio], lease: Lease, runtime: Runtime) -> Iterator[Waveform]:
    """Yield one segment at a time: a long job is never held whole."""
    for audio in spoken:
        lease.check()
        try:
            yield decode(io.BytesIO(b"".join(runtime.objects.read(audio.key))))
        except NotAudio as error:
            raise AudioMissing(audio.key) from error


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
        phonemes=joined.phonemes,
    )
