"""Speak one segment and store its audio."""

import hashlib
import io
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice

from shared import jobs as lifecycle
from shared.audio_address import audio_address, audio_key
from shared.audio_formats import FORMATS
from shared.jobs import Audio, Job, Outcome, SpeechRequest
from shared.phonemes import Timed, pack
from worker.attempt import enqueue_next
from worker.batching import SharedEngine, leave_engine, synthesize
from worker.encoding import encode
from worker.engine import Engine, Speech, Utterance, Waveform
from worker.engine.text.segmentation import Piece, split
from worker.engine.waveform import join
from worker.lease import Lease, StepLost
from worker.metrics import AUDIO_SECONDS, CACHE_HITS, CACHE_MISSES, ENGINE_SECONDS, REAL_TIME_FACTOR
from worker.runtime import Runtime

# Segments of a long job are kept without loss at the engine's own rate; the join resamples and encodes once.
SEGMENT_FORMAT = "flac"

WARNINGS_KEPT = 100  # of one audio: its record is read with every look at the job


@dataclass(frozen=True)
class Spoken:
    """A segment as the engine spoke it."""

    waveform: Waveform
    words: tuple[Timed, ...]
    phonemes: tuple[Timed, ...]
    warnings: tuple[str, ...]
    engine_seconds: float


def speak(job: Job, step: str, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Speak the segment, unless its audio is known, store it, and finish the step.

    Raises:
        StepLost: the job was cancelled or has ended, or another worker has the step.
        JobError, EngineError: it could not be done.
    """
    engine, speaker = runtime.engine, runtime.speaker
    if engine is None or speaker is None:
        raise RuntimeError(f"a worker of the lane {runtime.settings.lane} got a segment to speak")
    if job.long:
        text = runtime.jobs.segment(job.id, step).text
        request = replace(request, text=text, format=SEGMENT_FORMAT, sample_rate=engine.sample_rate)
    address = audio_address(request, engine_revision=engine.revision)
    audio, engine_seconds = known_audio(address, runtime), 0.0
    if audio is None:
        spoken = speak_text(request, speaker, lease)
        leave_engine()
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


def speak_text(request: SpeechRequest, engine: Engine | SharedEngine, lease: Lease) -> Spoken:
    """Speak as many utterances at a time as the engine likes, so that a cancelled job stops at the next."""
    parts: list[tuple[Speech, float]] = []
    engine_seconds = 0.0
    for number, pieces in enumerate(_batches(split(request.text), engine.batch_size)):
        if number:
            lease.check()
        spoken = synthesize(engine, [utterance(request, piece.text) for piece in pieces])
        engine_seconds += spoken.seconds
        parts += zip(spoken.speeches, [piece.pause_seconds for piece in pieces], strict=True)
    parts[-1] = (parts[-1][0], 0.0)
    segment = _joined(parts, engine_seconds)
    _measure(segment.waveform, engine_seconds)
    return segment


def _batches(pieces: Iterable[Piece], size: int) -> Iterator[list[Piece]]:
    rest = iter(pieces)
    while batch := list(islice(rest, size)):
        yield batch


def _joined(parts: Sequence[tuple[Speech, float]], engine_seconds: float) -> Spoken:
    """Return the utterances as one; the times of each move to where it begins."""
    words: list[Timed] = []
    phonemes: list[Timed] = []
    begins = 0.0
    for speech, pause_seconds in parts:
        words += [(one.word, begins + one.start_seconds, begins + one.end_seconds) for one in speech.words]
        phonemes += [(one.phoneme, begins + one.start_seconds, begins + one.end_seconds) for one in speech.phonemes]
        begins += speech.waveform.seconds + pause_seconds
    waveform = join([(speech.waveform, pause_seconds) for speech, pause_seconds in parts])
    warnings = merged(speech.warnings for speech, _ in parts)
    return Spoken(waveform, tuple(words), tuple(phonemes), warnings, engine_seconds)


def merged(warnings: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Return each warning once, in order; of very many, the first and how many more there are."""
    distinct = tuple(dict.fromkeys(chain.from_iterable(warnings)))
    if len(distinct) <= WARNINGS_KEPT:
        return distinct
    return (*distinct[:WARNINGS_KEPT], f"and {len(distinct) - WARNINGS_KEPT} more warnings")


def utterance(request: SpeechRequest, text: str) -> Utterance:
    return Utterance(
        text=text,
        voice=request.voice,
        emotion=request.emotion,
        emotion_strength=request.emotion_strength,
        speed=request.speed,
        seed=request.seed,
        pitch_shift=request.pitch_shift,
        pitch_scale=request.pitch_scale,
        energy_shift=request.energy_shift,
        energy_scale=request.energy_scale,
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
        phonemes=pack(spoken.phonemes),
        warnings=spoken.warnings,
    )
