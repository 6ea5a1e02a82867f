"""Speak one segment and store its audio."""

import hashlib
import io
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice

from audio.encoding import encode
from audio.waveform import join, silence
from shared import jobs as lifecycle
from shared import tracing
from shared.audio_address import audio_address, audio_key
from shared.audio_formats import FORMATS
from shared.jobs import Audio, Job, Outcome, SpeechRequest
from shared.phonemes import Timed, pack
from worker.attempt import enqueue_next
from worker.batching import SharedEngine, hurrying, leave_engine
from worker.claims import Claims
from worker.engine import Engine, Speech, Utterance, Waveform
from worker.engine.text.segmentation import Piece, split
from worker.lease import Lease, StepLost
from worker.live import Live, live
from worker.metrics import AUDIO_SECONDS, ENGINE_SECONDS, REAL_TIME_FACTOR
from worker.omission import Result, each_spoken, leave_out
from worker.runtime import Runtime

# Segments of a long job are kept without loss at the engine's own rate; the join resamples and encodes once.
SEGMENT_FORMAT = "flac"

WARNINGS_KEPT = 100  # of one audio: its record is read with every look at the job
NOTHING_SECONDS = 0.05  # of silence, for a segment of which nothing sounds: an encoder wants some samples


@dataclass(frozen=True)
class Spoken:
    """A segment as the engine spoke it."""

    waveform: Waveform
    words: tuple[Timed, ...]
    phonemes: tuple[Timed, ...]
    warnings: tuple[str, ...]
    engine_seconds: float
    sounds: bool = True


def speak(job: Job, step: str, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Speak the segment, unless its audio is known, store it, and finish the step.

    Raises:
        StepLost: the job was cancelled or has ended, or another worker has the step.
        JobError, EngineError: it could not be done.
    """
    engine, speaker = runtime.engine, runtime.speaker
    if engine is None or speaker is None:
        raise RuntimeError(f"a worker of the lane {runtime.settings.lane} got a segment to speak")
    whole = request.text if job.long else ""
    if job.long:
        text = runtime.jobs.segment(job.id, step).text
        request = replace(request, text=text, format=SEGMENT_FORMAT, sample_rate=engine.sample_rate)
    with Claims(lease, runtime) as claims:
        native = request.sample_rate == engine.sample_rate  # else what is stored has other samples
        listened = live(job, step, runtime.live) if native else None
        audio, engine_seconds = _made(request, speaker, claims, whole=whole, live=listened)
        change = runtime.jobs.change(
            job.id,
            step,
            partial(
                lifecycle.finish_segment,
                token=lease.token,
                now=time.time(),
                audio=audio,
                engine_seconds=engine_seconds,
                engine=engine.name,
                characters=len(request.text),
            ),
            audio=audio,
            known=lease.started,
        )
        if change is None or change.outcome is not Outcome.APPLIED:
            raise StepLost(change.outcome if change else Outcome.MISSING)
        claims.recorded(audio)
    if change.job.segments_done == change.job.segments_total:
        enqueue_next(change.job, runtime)


def _made(
    request: SpeechRequest, speaker: Engine | SharedEngine, claims: Claims, *, whole: str, live: Live | None
) -> tuple[Audio, float]:
    """Return the segment's audio, stored, and the engine seconds that it took: none if it was there."""
    extension = FORMATS[request.format].extension
    revision = speaker.revision
    address = audio_address(request, engine_revision=revision)
    if audio := claims.find(address, audio_key(address, extension=extension)):
        return audio, 0.0
    spoken = speak_text(request, speaker, claims.lease, whole=whole, live=live)
    leave_engine()
    if not spoken.sounds:  # a job of that text alone must not find it: it fails
        address = audio_address(request, engine_revision=f"{revision}, left out")
        if audio := claims.find(address, audio_key(address, extension=extension)):
            return audio, spoken.engine_seconds
    claims.storing()
    return _stored(request, spoken, address, claims.runtime), spoken.engine_seconds


def speak_text(
    request: SpeechRequest, engine: Engine | SharedEngine, lease: Lease, *, whole: str = "", live: Live | None = None
) -> Spoken:
    """Speak as many utterances at a time as the engine likes, so that a cancelled job stops at the next.

    Args:
        whole: the text of the job, where this is only its segment: nothing in a segment need sound.
        live: where each utterance is sent as soon as it is spoken.
    Raises:
        UnspeakableText: the engine refuses a part of the text, or nothing in it sounds.
    """
    pieces = split(request.text)
    utterances = [utterance(request, piece.text) for piece in pieces]
    results: list[Result] = []
    engine_seconds = 0.0
    for batch in _batches(utterances, engine.batch_size, first=1 if live else engine.batch_size):
        if results:
            lease.check()
        with hurrying() if live and not results else nullcontext():
            spoken, seconds = each_spoken(engine, batch)
        if live:
            _send(live, pieces[len(results) :], spoken)
        results += spoken
        engine_seconds += seconds
    omitted, seconds = leave_out(engine, utterances, results, whole=whole)
    engine_seconds += seconds
    if live:
        live.end()
    parts = _heard(pieces, results)
    if not parts:
        nothing = silence(NOTHING_SECONDS, request.sample_rate)
        return Spoken(nothing, (), (), merged([omitted]), engine_seconds, sounds=False)
    segment = _joined(parts, omitted, engine_seconds)
    _measure(segment.waveform, engine_seconds)
    return segment


def _send(live: Live, pieces: Sequence[Piece], results: Sequence[Result]) -> None:
    """Let who listens hear what `_heard` will return of these."""
    for piece, result in zip(pieces, results, strict=False):
        if isinstance(result, Speech):
            live.say(result.waveform, piece.pause_seconds)
        else:
            live.leave_out(piece.pause_seconds)


def _heard(pieces: Sequence[Piece], results: Sequence[Result]) -> list[tuple[Speech, float]]:
    """Return what was spoken, with the pause after each; of what was left out the pause stays if it is longer."""
    parts: list[tuple[Speech, float]] = []
    for piece, result in zip(pieces, results, strict=True):
        if isinstance(result, Speech):
            parts.append((result, piece.pause_seconds))
        elif parts:
            parts[-1] = (parts[-1][0], max(parts[-1][1], piece.pause_seconds))
    return [*parts[:-1], (parts[-1][0], 0.0)] if parts else []


def _batches(utterances: Iterable[Utterance], size: int, *, first: int) -> Iterator[list[Utterance]]:
    rest = iter(utterances)
    while batch := list(islice(rest, first)):
        yield batch
        first = size


def _joined(parts: Sequence[tuple[Speech, float]], omitted: Sequence[str], engine_seconds: float) -> Spoken:
    """Return the utterances as one; the times of each move to where it begins."""
    words: list[Timed] = []
    phonemes: list[Timed] = []
    begins = 0.0
    for speech, pause_seconds in parts:
        words += [(one.word, begins + one.start_seconds, begins + one.end_seconds) for one in speech.words]
        phonemes += [(one.phoneme, begins + one.start_seconds, begins + one.end_seconds) for one in speech.phonemes]
        begins += speech.waveform.seconds + pause_seconds
    waveform = join([(speech.waveform, pause_seconds) for speech, pause_seconds in parts])
    warnings = merged([omitted, *(speech.warnings for speech, _ in parts)])
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
    with tracing.span("encode", {"emotivoice.format": request.format}):
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
