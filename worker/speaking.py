"""Speak a segment: its utterances in batches, each with the pause behind it, joined to one waveform."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, islice

from audio.waveform import join, silence
from shared.checking import Library, Offer, no_library, offer_of
from shared.errors import UnknownEmotion
from shared.jobs import SpeechRequest
from shared.phonemes import Timed
from shared.ports import Part
from worker.batching import SharedEngine, hurrying
from worker.engine import Engine, Imitation, Speech, Utterance, Waveform
from worker.engine.text.segmentation import split
from worker.lease import Lease
from worker.live import Live
from worker.metrics import AUDIO_SECONDS, ENGINE_SECONDS, REAL_TIME_FACTOR
from worker.omission import Result, each_spoken, leave_out
from worker.retakes import Takes, judges
from worker.runtime import catalogue
from worker.trimming import trimmed

WARNINGS_KEPT = 100  # of one audio: its record is read with every look at the job
NOBODY: Mapping[str, Imitation] = {}
NOTHING_SECONDS = 0.05  # of silence, for a segment of which nothing sounds: an encoder wants some samples


@dataclass(frozen=True)
class Line:
    """What one call of the engine speaks, the pause behind it, and which part of its segment it belongs to."""

    utterance: Utterance
    pause_seconds: float
    part: int = 0


@dataclass(frozen=True)
class Heard:
    """A line as it was spoken."""

    speech: Speech
    pause_seconds: float
    part: int


@dataclass(frozen=True)
class Spoken:
    """A segment as the engine spoke it."""

    waveform: Waveform
    words: tuple[Timed, ...]
    phonemes: tuple[Timed, ...]
    warnings: tuple[str, ...]
    engine_seconds: float
    sounds: bool = True
    parts: tuple[tuple[float, float], ...] = ()  # when each part of a narrated segment begins and ends
    retakes: tuple[str, ...] = ()


def speak_text(  # noqa: PLR0913 - every argument by name
    request: SpeechRequest,
    engine: Engine | SharedEngine,
    lease: Lease,
    *,
    parts: Sequence[Part] = (),
    imitations: Mapping[str, Imitation] = NOBODY,
    whole: str = "",
    live: Live | None = None,
) -> Spoken:
    """Speak as many utterances at a time as the engine likes, so that a cancelled job stops at the next.

    Args:
        parts: what to speak of a narrated segment, in place of the request's text.
        imitations: how the library voices that request and parts name are spoken.
        whole: the text of the job, where this is only its segment: nothing in a segment need sound.
        live: where each utterance is sent as soon as it is spoken.
    Raises:
        UnspeakableText: the engine refuses a part of the text, or nothing in it sounds.
    """
    lines = [_imitated(line, imitations) for line in lines_of(request, parts)]
    takes = Takes(engine, judged=bool(parts) and judges(engine))
    results: list[Result] = []
    engine_seconds = 0.0
    for batch in _batches(lines, engine.batch_size, first=1 if live else engine.batch_size):
        if results:
            lease.check()
        with hurrying() if live and not results else nullcontext():
            spoken, seconds = each_spoken(engine, [line.utterance for line in batch])
        if parts:
            spoken = [_narrated(line, result, takes) for line, result in zip(batch, spoken, strict=True)]
        if live:
            _send(live, batch, spoken)
        results += spoken
        engine_seconds += seconds
    omitted, seconds = leave_out(engine, [line.utterance for line in lines], results, whole=whole)
    engine_seconds += seconds + takes.seconds
    if live:
        live.end()
    heard = _heard(lines, results)
    if not heard:
        nothing = silence(NOTHING_SECONDS, request.sample_rate)
        still = ((0.0, NOTHING_SECONDS),) * len(parts)
        return Spoken(nothing, (), (), merged([omitted]), engine_seconds, sounds=False, parts=still)
    told = chain.from_iterable(imitation.warnings for imitation in imitations.values())
    segment = _joined(heard, [*told, *omitted, *takes.warnings], engine_seconds)
    _measure(segment.waveform, engine_seconds)
    return replace(segment, parts=part_times(heard, len(parts)), retakes=tuple(takes.retakes))


def lines_of(request: SpeechRequest, parts: Sequence[Part] = ()) -> list[Line]:
    """Return what to speak of a text, or of the parts of a narrated segment."""
    if not parts:
        return [Line(utterance(request, piece.text), piece.pause_seconds) for piece in split(request.text)]
    return [line for number, part in enumerate(parts) for line in _of_part(request, part, number)]


def _of_part(request: SpeechRequest, part: Part, number: int) -> Iterator[Line]:
    """Yield a part's lines: one, but for a part that is too long for one call of the engine."""
    strength, speed = part.emotion_strength, part.speed
    own = replace(
        request,
        voice=part.voice or request.voice,
        emotion=part.emotion or request.emotion,
        emotion_strength=request.emotion_strength if strength is None else strength,
        speed=request.speed if speed is None else speed,
    )
    *pieces, last = split(part.text)
    for piece in pieces:
        yield Line(utterance(own, piece.text), piece.pause_seconds, number)
    yield Line(utterance(own, last.text), part.pause_seconds, number)


@lru_cache(maxsize=1)  # there may be thousands of voices
def _offer(engine: Engine) -> Offer:
    return offer_of(catalogue(engine))


def _imitated(line: Line, imitations: Mapping[str, Imitation]) -> Line:
    """Return the line in the voice as the engine imitates it, if a library voice speaks it."""
    voice = line.utterance.voice
    if not isinstance(voice, str) or voice not in imitations:
        return line
    return replace(line, utterance=replace(line.utterance, voice=imitations[voice]))


def cast_by(engine: Engine, parts: Sequence[Part], library: Library = no_library) -> tuple[Part, ...]:
    """Return the parts with the ids of their voices; those of library voices with their revisions.

    Args:
        library: the tenant's own voices.
    Raises:
        UnknownVoice, InvalidBlend, UnknownEmotion: a mark or the dialogue asks for what the engine does not have.
        VoiceNotReady, VoiceFailed, VoiceDeleted, CloningUnavailable: it asks for a library voice that can't speak.
    """
    if any(part.voice for part in parts):
        offer = replace(_offer(engine), library=library)
        found = {voice: offer.voice(voice) for part in parts if (voice := part.voice)}
        parts = [replace(part, voice=found.get(part.voice, "")) for part in parts]
    for part in parts:
        if part.emotion and not engine.free_text_emotion and part.emotion not in engine.emotions:
            raise UnknownEmotion(part.emotion, engine.emotions)
    return tuple(parts)


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


def _narrated(line: Line, result: Result, takes: Takes) -> Result:
    """Return what is kept of a line of a chapter."""
    return takes.taken(line.utterance, trimmed(result), part=line.part) if isinstance(result, Speech) else result


def part_times(heard: Sequence[Heard], count: int) -> tuple[tuple[float, float], ...]:
    """Return when each of so many parts begins and ends; one that was left out has no length."""
    spans: dict[int, tuple[float, float]] = {}
    begins = 0.0
    for one in heard:
        end = begins + one.speech.waveform.seconds
        spans[one.part] = (spans[one.part][0] if one.part in spans else begins, end)
        begins = end + one.pause_seconds
    times: list[tuple[float, float]] = []
    for number in range(count):
        at = times[-1][1] if times else 0.0
        start, end = spans.get(number, (at, at))
        times.append((round(start, 4), round(end, 4)))
    return tuple(times)


def _send(live: Live, lines: Sequence[Line], results: Sequence[Result]) -> None:
    """Let who listens hear what `_heard` will return of these."""
    for line, result in zip(lines, results, strict=True):
        if isinstance(result, Speech):
            live.say(result.waveform, line.pause_seconds)
        else:
            live.leave_out(line.pause_seconds)


def _heard(lines: Sequence[Line], results: Sequence[Result]) -> list[Heard]:
    """Return what was spoken, with the pause after each; of what was left out the pause stays if it is longer."""
    heard: list[Heard] = []
    for line, result in zip(lines, results, strict=True):
        if isinstance(result, Speech):
            heard.append(Heard(result, line.pause_seconds, line.part))
        elif heard:
            heard[-1] = replace(heard[-1], pause_seconds=max(heard[-1].pause_seconds, line.pause_seconds))
    return [*heard[:-1], replace(heard[-1], pause_seconds=0.0)] if heard else []


def _batches(lines: Iterable[Line], size: int, *, first: int) -> Iterator[list[Line]]:
    rest = iter(lines)
    while batch := list(islice(rest, first)):
        yield batch
        first = size


def _joined(heard: Sequence[Heard], omitted: Sequence[str], engine_seconds: float) -> Spoken:
    """Return the utterances as one; the times of each move to where it begins."""
    words: list[Timed] = []
    phonemes: list[Timed] = []
    begins = 0.0
    for one in heard:
        speech = one.speech
        words += [(word.word, begins + word.start_seconds, begins + word.end_seconds) for word in speech.words]
        phonemes += [(each.phoneme, begins + each.start_seconds, begins + each.end_seconds) for each in speech.phonemes]
        begins += speech.waveform.seconds + one.pause_seconds
    waveform = join([(one.speech.waveform, one.pause_seconds) for one in heard])
    warnings = merged([omitted, *(one.speech.warnings for one in heard)])
    return Spoken(waveform, tuple(words), tuple(phonemes), warnings, engine_seconds)


def merged(warnings: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Return each warning once, in order; of very many, the first and how many more there are."""
    distinct = tuple(dict.fromkeys(chain.from_iterable(warnings)))
    if len(distinct) <= WARNINGS_KEPT:
        return distinct
    return (*distinct[:WARNINGS_KEPT], f"and {len(distinct) - WARNINGS_KEPT} more warnings")


def _measure(waveform: Waveform, engine_seconds: float) -> None:
    ENGINE_SECONDS.observe(engine_seconds)
    AUDIO_SECONDS.inc(waveform.seconds)
    REAL_TIME_FACTOR.observe(engine_seconds / waveform.seconds)
