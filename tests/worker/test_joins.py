"""Sentences of the builtin voices, trimmed and joined: the pause is what was asked for, and nothing clicks."""

import numpy as np
import pytest

from audio.encoding import decode, encode
from audio.waveform import Waveform, frame_levels, join, speech_level
from tests.clicks import clicks
from worker.engine import Engine, EngineOptions, Utterance, load_engine
from worker.trimming import EDGE_SECONDS, trimmed

SENTENCES = {
    "en": ["Stop it, tick tock, kick.", "Peter Piper picked a peck of pickled peppers!", "So he said."],
    "zh": ["话说天下大势，分久必合。", "他拍了拍桌子，跳了起来！", "合久必分。"],
}
PAUSE = 0.6


@pytest.fixture(scope="module")
def engine() -> Engine:
    return load_engine("builtin", EngineOptions())


def spoken(engine: Engine, voice: str) -> list[Waveform]:
    lines = [Utterance(text, voice=voice) for text in SENTENCES[voice[:2]]]
    return [trimmed(result).waveform for result in engine.synthesize(lines)]


def longest_silences(waveform: Waveform, count: int) -> list[float]:
    loud = np.flatnonzero(
        frame_levels(waveform.samples, waveform.sample_rate) > speech_level(waveform.samples, waveform.sample_rate) - 40
    )
    return sorted((float(step - 1) / 100 for step in np.diff(loud)), reverse=True)[:count]


@pytest.mark.parametrize("voice", ["en-slt", "en-kal16", "zh-female-1", "zh-male-1"])
def test_joined_sentences_are_as_far_apart_as_the_pause_says_and_nothing_clicks(engine: Engine, voice: str) -> None:
    joined = join([(sentence, PAUSE) for sentence in spoken(engine, voice)])

    for silence in longest_silences(joined, 2):
        assert silence == pytest.approx(PAUSE + EDGE_SECONDS, abs=EDGE_SECONDS + 0.02)
    assert clicks(joined.samples, joined.sample_rate) == []


@pytest.mark.parametrize("format", ["m4a", "mp3", "opus"])
def test_nor_does_it_once_it_is_encoded(engine: Engine, format: str) -> None:
    joined = join([(sentence, PAUSE) for sentence in spoken(engine, "en-slt")])

    heard = decode(encode(joined, format=format, sample_rate=24_000))

    assert clicks(heard.samples, heard.sample_rate) == []
