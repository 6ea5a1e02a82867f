"""Phrases laid one after another: the samples of an utterance, who spoke which part, and when each word sounds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio.waveform import Signal, Waveform, amplify, fade_edges, speech_level
from worker.engine.builtin.phrases import PAUSE_SECONDS, Phrase
from worker.engine.builtin.programs import SAMPLE_RATE, Sound
from worker.engine.builtin.speaker import word_counts
from worker.engine.speech import WordTiming
from worker.engine.text.language import Language

SPEECH_DBFS = -20.0  # RMS of neutral speech, of every voice and both languages
EDGE_SECONDS = 0.02  # silence at both ends of an utterance


@dataclass(frozen=True)
class Stretch:
    """Seconds [start, end) of an utterance, in one language."""

    language: Language
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class Timeline:
    samples: Signal
    stretches: tuple[Stretch, ...]
    words: tuple[WordTiming, ...]


def lay_out(spoken: Sequence[tuple[Phrase, Sound]]) -> Timeline:
    """Join the phrases at one level, with their pauses between them."""
    pieces: list[Signal] = [_silence(EDGE_SECONDS)]
    stretches: list[Stretch] = []
    words: list[WordTiming] = []
    length = len(pieces[0])
    for i, (phrase, sound) in enumerate(spoken):
        start = length / SAMPLE_RATE
        is_last = i + 1 == len(spoken)
        pause = _silence(EDGE_SECONDS if is_last else PAUSE_SECONDS[phrase.pause])
        stretches.append(Stretch(phrase.language, start, start + sound.seconds))
        words += _word_timings(phrase, sound, start)
        pieces += [_leveled(sound.samples), pause]
        length += len(sound.samples) + len(pause)
    return Timeline(np.concatenate(pieces), tuple(stretches), tuple(words))


def _silence(seconds: float) -> Signal:
    return np.zeros(round(seconds * SAMPLE_RATE))


def _leveled(samples: Signal) -> Signal:
    faded = fade_edges(Waveform(samples.astype(np.float32), SAMPLE_RATE)).samples.astype(np.float64)
    return amplify(faded, SPEECH_DBFS - speech_level(faded, SAMPLE_RATE))


def _word_timings(phrase: Phrase, sound: Sound, start: float) -> list[WordTiming]:
    """One timing for each token as it was written: "50%" is one word, though three are said."""
    timings: list[WordTiming] = []
    first = 0
    for token, count in zip(phrase.tokens, word_counts(phrase), strict=True):
        begin, end = sound.words[first][0], sound.words[first + count - 1][1]
        timings.append(WordTiming(token.written, start + begin, start + min(end, sound.seconds)))
        first += count
    return timings
