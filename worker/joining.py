"""Join the segments of a long job into one audio, piece by piece, and store it."""

import hashlib
import io
import logging
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial

from audio.encoding import Encoder, decode
from audio.waveform import Waveform, silence
from shared import jobs as lifecycle
from shared import tracing
from shared.audio_address import audio_address, audio_key
from shared.audio_formats import FORMATS
from shared.errors import AudioMissing
from shared.jobs import Audio, Job, Outcome, SpeechRequest
from shared.phonemes import Timed, pack, unpack
from shared.voice_library import library_voices
from worker.attempt import enqueue_next
from worker.claims import Claims
from worker.files import stored
from worker.lease import Lease, StepLost
from worker.runtime import Runtime
from worker.speaking import merged

log = logging.getLogger(__name__)

# Of each segment of a job, on average: an object store that loses what it is given would keep it going for ever.
MOST_REPAIRS = 5
AHEAD = 6  # segments that are fetched while others are encoded: each is up to about a minute of FLAC
CHECK_SECONDS = 1.0  # a segment of a few words is joined in milliseconds


Make = Callable[[dict[str, Audio], Claims], Audio]  # of the segments' audio, in order


class SegmentLost(AudioMissing):
    """The audio of a finished segment is gone, or is not what was stored."""

    def __init__(self, step: str, key: str) -> None:
        super().__init__(key)
        self.step = step


@dataclass(frozen=True)
class Joined:
    """The audio in a file, and when its words, phonemes and parts sound."""

    seconds: float
    words: tuple[Timed, ...]
    phonemes: str  # packed
    parts: tuple[tuple[float, float], ...] = ()


def join_job(job: Job, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Join the job's segments with their pauses, resample and encode once, store, and finish the job.

    Segments whose audio is gone or damaged are enqueued to be spoken again; the last of them enqueues the join.

    Raises:
        StepLost: the job was cancelled or has ended, another worker has the step, or segments have to be spoken again.
        JobError: segments were lost again and again, or the object store is away.
    """
    put_together(job, lease, runtime, partial(_made, job, request))


def put_together(job: Job, lease: Lease, runtime: Runtime, make: Make) -> None:
    """Make one audio of those of the job's segments, record it, and finish the job.

    Raises:
        StepLost, JobError: as `join_job`.
    """
    try:
        spoken = _all_there(runtime.jobs.segment_audio(job.id))
        with Claims(lease, runtime) as claims:
            audio = make(spoken, claims)
            change = runtime.jobs.change(
                job.id,
                lifecycle.JOIN,
                lambda now, step: lifecycle.finish_join(now, step, token=lease.token, now=time.time(), audio=audio),
                audio=audio,
            )
            if change is None or change.outcome is not Outcome.APPLIED:
                raise StepLost(change.outcome if change else Outcome.MISSING)
            claims.recorded(audio)
    except SegmentLost as lost:
        _make_again(lost, job, lease, runtime)
        raise StepLost(Outcome.NOT_READY) from lost


def _all_there(found: dict[str, Audio | str]) -> dict[str, Audio]:
    """Return the segments' audio; raise SegmentLost for the first whose record is gone."""
    for step, audio in found.items():
        if isinstance(audio, str):
            raise SegmentLost(step, audio)
    return {step: audio for step, audio in found.items() if isinstance(audio, Audio)}


def _make_again(lost: SegmentLost, job: Job, lease: Lease, runtime: Runtime) -> None:
    """Have the lost segment made again, and every other whose object is not there either."""
    if job.repairs >= MOST_REPAIRS * job.segments_total:
        raise lost
    for step, audio in runtime.jobs.segment_audio(job.id).items():
        address = audio if isinstance(audio, str) else audio.address
        if isinstance(audio, Audio) and step != lost.step and runtime.objects.exists(audio.key, bytes=audio.bytes):
            continue
        log.warning("a segment's audio is lost: it is made again", extra={"step": step})
        if isinstance(audio, Audio):
            runtime.jobs.forget_audio(audio)
        runtime.jobs.change(job.id, step, partial(lifecycle.lose_segment, address=address))
    change = runtime.jobs.change(job.id, lifecycle.JOIN, partial(lifecycle.put_back, token=lease.token))
    if change and change.outcome is Outcome.APPLIED:
        enqueue_next(change.job, runtime)


def _made(job: Job, request: SpeechRequest, spoken: dict[str, Audio], claims: Claims) -> Audio:
    """Return the joined audio, stored; the same segments may have been joined before."""
    lease, runtime, parts = claims.lease, claims.runtime, list(spoken.values())
    segments = runtime.jobs.segments(job.id)
    pauses = [segment.pause_seconds for segment in segments]
    made_of = "+".join(one.address for one in parts)
    if request.narration:  # whose pauses the text alone does not decide; a chapter ends with one
        made_of += f" {pauses}"
    else:
        pauses[-1] = 0.0
    address, form = audio_address(request, engine_revision=made_of), FORMATS[request.format]
    key = audio_key(address, extension=form.extension)
    if audio := claims.find(address, key):
        return audio
    with tempfile.TemporaryFile() as file:
        rate = parts[0].sample_rate
        with (
            tracing.span("encode", {"emotivoice.format": request.format}),
            Encoder(file, format=request.format, source_rate=rate, sample_rate=request.sample_rate) as encoder,
        ):
            joined = _write(encoder, zip(parts, _waveforms(spoken, lease, runtime), pauses, strict=True))
        voices = library_voices(voice for one in parts for voice in one.voices)
        claims.storing(key, voices=voices)
        audio = Audio(
            address,
            key,
            0,
            joined.seconds,
            request.sample_rate,
            request.format,
            "",
            words=joined.words,
            phonemes=joined.phonemes,
            warnings=merged(one.warnings for one in parts),
            parts=joined.parts,
            retakes=merged(_retakes(parts)),
            voices=voices,
        )
        return stored(file, audio, runtime.objects, content_type=form.content_type)


def _retakes(parts: Iterable[Audio]) -> Iterator[list[str]]:
    for number, audio in enumerate(parts, 1):
        yield [f"segment {number}, {retake}" for retake in audio.retakes]


def _write(encoder: Encoder, parts: Iterable[tuple[Audio, Waveform, float]]) -> Joined:
    """Encode each segment and the pause after it; its words, phonemes and parts move to where it begins."""
    words: list[Timed] = []
    phonemes: list[Timed] = []
    spans: list[tuple[float, float]] = []
    begins = 0.0
    for audio, waveform, pause_seconds in parts:
        words += [(word, begins + start, begins + end) for word, start, end in audio.words]
        phonemes += unpack(audio.phonemes, begins=begins)
        spans += [(round(begins + start, 4), round(begins + end, 4)) for start, end in audio.parts]
        pause = silence(pause_seconds, sample_rate=waveform.sample_rate)
        encoder.write(waveform.samples)
        encoder.write(pause.samples)
        begins += waveform.seconds + pause.seconds
    return Joined(begins, tuple(words), pack(phonemes), tuple(spans))


def _waveforms(spoken: dict[str, Audio], lease: Lease, runtime: Runtime) -> Iterator[Waveform]:
    """Yield one segment at a time, with the next few fetched meanwhile: a long job is never held whole."""
    with ThreadPoolExecutor(AHEAD) as pool:
        fetched: deque[tuple[str, Audio, Future[bytes]]] = deque()
        for step, audio in spoken.items():
            fetched.append((step, audio, pool.submit(copy_context().run, _data, audio, runtime)))
            if len(fetched) > AHEAD:
                lease.check(every=CHECK_SECONDS)
                yield _waveform(*fetched.popleft())
        for one in fetched:
            lease.check(every=CHECK_SECONDS)
            yield _waveform(*one)


def _data(audio: Audio, runtime: Runtime) -> bytes:
    return b"".join(runtime.objects.read(audio.key))


def _waveform(step: str, audio: Audio, fetched: Future[bytes]) -> Waveform:
    try:
        data = fetched.result()
    except AudioMissing as error:
        raise SegmentLost(step, audio.key) from error
    if hashlib.sha256(data).hexdigest() != audio.sha256:
        raise SegmentLost(step, audio.key)
    return decode(io.BytesIO(data))
