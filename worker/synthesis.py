"""Speak one segment and store its audio."""

import hashlib
import io
import time
from dataclasses import dataclass, replace
from functools import partial

from shared import jobs as lifecycle
from shared.audio_address import audio_address, audio_key
from shared.audio_formats import FORMATS
from shared.jobs import Audio, Job, Outcome, SpeechRequest
from worker.attempt import enqueue_next
from worker.encoding import encode
from worker.engine import Engine, Utterance, Waveform
from worker.engine.text.segmentation import split
from worker.engine.waveform import join
from worker.lease import Lease, StepLost
from worker.metrics import AUDIO_SECONDS, CACHE_HITS, CACHE_MISSES, ENGINE_SECONDS, REAL_TIME_FACTOR
from worker.runtime import Runtime

# Segments of a long job are kept without loss at the engine's own rate; the join resamples and encodes once.
SEGMENT_FORMAT = "flac"

Words = tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Spoken:
    """A segment as the engine spoke it."""

    waveform: Waveform
    words: Words
    engine_seconds: float


def speak(job: Job, step: str, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Speak the segment, unless its audio is known, store it, and finish the step.

    Raises:
        StepLost: the job was cancelled or has ended, or another worker has the step.
        JobError, EngineError: it could not be done.
    """
    engine = runtime.engine
    if engine is None:
        raise RuntimeError(f"a worker of the lane {runtime.settings.lane} got a segment to speak")
    if job.long:
        text = runtime.jobs.segment(job.id, step).text
        request = replace(request, text=text, format=SEGMENT_FORMAT, sample_rate=engine.sample_rate)
    address = audio_address(request, engine_revision=engine.revision)
    audio, engine_seconds = known_audio(address, runtime), 0.0
    if audio is None:
        spoken = speak_text(request, engine, lease)
        engine_seconds = spoken.engine_seconds
        audio = _stored(request, spoken, address, runtime)
    change = runtime.jobs.change(
        job.id,
        step,
        partial(
            lifecycle.finish_segment, token=lease.token, now=time.time(), audio=audio, engine_seconds=engine_seconds
        ),
        audio=audio,
        known=lease.started,
    )
    if change is None or change.outcome is not Outcome.APPLIED:
        raise StepLost(change.outcome if change else Outcome.MISSING)
    if change.job.segments_done == change.job.segments_total:
        enqueue_next(change.job, runtime)


def known_audio(address: str, runtime: Runtime) -> Audio | None:
    """Return the audio of that address if it was spoken before and is really there."""
    audio = runtime.jobs.audio(address)
    if audio and not runtime.objects.exists(audio.key, bytes=audio.bytes):
        runtime.jobs.forget_audio(address)
        audio = None
    (CACHE_HITS if audio else CACHE_MISSES).inc()
    return audio


def speak_text(request: SpeechRequest, engine: Engine, lease: Lease) -> Spoken:
    """Speak utterance by utterance, so that a cancelled job stops at the next one."""
    parts: list[tuple[Waveform, float]] = []
    words: list[tuple[str, float, float]] = []
    position, engine_seconds = 0.0, 0.0
    for number, piece in enumerate(split(request.text)):
        if number:
            lease.check()
        started = time.perf_counter()
        speech = engine.synthesize([utterance(request, piece.text)])[0]
        engine_seconds += time.perf_counter() - started
        words += [(word.word, position + word.start_seconds, position + word.end_seconds) for word in speech.words]
        parts.append((speech.waveform, piece.pause_seconds))
        position += speech.waveform.seconds + piece.pause_seconds
    parts[-1] = (parts[-1][0], 0.0)
    waveform = join(parts)
    _measure(waveform, engine_seconds)
    return Spoken(waveform, tuple(words), engine_seconds)


def utterance(request: SpeechRequest, text: str) -> Utterance:
    return Utterance(
        text=text,
        voice=request.voice,
        emotion=request.emotion,
        emotion_strength=request.emotion_strength,
        speed=request.speed,
        seed=request.seed,
    )


def _measure(waveform: Waveform, engine_seconds: float) -> None:
    ENGINE_SECONDS.observe(engine_seconds)
    AUDIO_SECONDS.inc(waveform.seconds)
    REAL_TIME_FACTOR.observe(engine_seconds / waveform.seconds)


def _stored(request: SpeechRequest, spoken: Spoken, address: str, runtime: Runtime) -> Audio:
    form = FORMATS[request.format]
    data = encode(spoken.waveform, format=request.format, sample_rate=request.sample_rate)
    key = audio_key(address, extension=form.extension)
    runtime.objects.put(key, io.BytesIO(data), length=len(data), content_type=form.content_type)
    return Audio(
        address=address,
        key=key,
        bytes=len(data),
        seconds=spoken.waveform.seconds,
        sample_rate=request.sample_rate,
        format=request.format,
        sha256=hashlib.sha256(data).hexdigest(),
        words=spoken.words,
    )
