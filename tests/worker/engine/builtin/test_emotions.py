"""Emotions as they are heard: docs/emotions.md states directions, the sound of ten sentences a language shows them."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from audio.waveform import Signal
from tests.worker.engine.builtin.acoustics import Measured, measure
from worker.engine import NEUTRAL, Speech, Utterance
from worker.engine.builtin import BuiltinEngine, world
from worker.engine.builtin.emotions import EMOTIONS
from worker.engine.builtin.speaker import Speaker
from worker.engine.builtin.world import Analysis

PAGE = Path(__file__).parents[4] / "docs" / "emotions.md"
ARROWS = {"↑": 1, "↓": -1}
ENGLISH = (
    "The weather is very nice today.",
    "I never said that he would come alone.",
    "Where did you leave the keys?",
    "She opened the door and looked outside.",
    "We have to go home now.",
    "The train leaves at nine in the morning.",
    "Nobody told me about the meeting.",
    "My brother lives near the river.",
    "You can put the books on the table.",
    "It was the last day of summer.",
)
CHINESE = (
    "今天天气很好，去公园吧。",
    "他没有告诉我这件事情。",
    "你把钥匙放在哪里了？",
    "她打开门，看了看外面。",
    "我们现在应该回家了。",
    "火车早上九点出发。",
    "没有人跟我说开会的事。",
    "我弟弟住在河边。",
    "你可以把书放在桌子上。",
    "那是夏天的最后一天。",
)
SENTENCES = {"en-slt": ENGLISH, "en-awb": ENGLISH, "zh-female-1": CHINESE, "zh-male-1": CHINESE}
# What a listener can tell: half a semitone, a twentieth, a thirtieth, a decibel, half of one.
NOTICEABLE = {"pitch": 0.04, "range": 0.05, "tempo": 0.03, "energy": 1.0, "tilt": 0.5}


def stated() -> dict[str, dict[str, int]]:
    """Emotion -> its stated directions: 1 above neutral, -1 below."""
    page = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip(" `") for cell in line.split("|")] for line in page if line.startswith("| `")]
    arrows = {row[1]: zip(NOTICEABLE, row[2:7], strict=True) for row in rows if row[2] in ARROWS}
    return {emotion: {name: ARROWS[arrow] for name, arrow in row if arrow != "–"} for emotion, row in arrows.items()}


STATED = stated()


def once_for_each(analyze: Callable[[Signal], Analysis]) -> Callable[[Signal], Analysis]:
    known: dict[bytes, Analysis] = {}

    def analyzed(samples: Signal) -> Analysis:
        key = samples.tobytes()
        if key not in known:
            known[key] = analyze(samples)
        return known[key]

    return analyzed


@pytest.fixture(scope="module")
def engine() -> Iterator[BuiltinEngine]:
    """Says and analyzes a sentence once; what an emotion does to it is done each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "analyze", once_for_each(world.analyze))
        patch.setattr(Speaker, "say", cache(Speaker.say))
        yield BuiltinEngine()


def say(engine: BuiltinEngine, text: str, voice: str, emotion: str = NEUTRAL, strength: float = 1.0) -> Speech:
    (speech,) = engine.synthesize([Utterance(text, voice, emotion, strength)])
    return speech


@cache
def heard(engine: BuiltinEngine, text: str, voice: str, emotion: str = NEUTRAL, strength: float = 1.0) -> Measured:
    return measure(say(engine, text, voice, emotion, strength))


def differences(engine: BuiltinEngine, voice: str, emotion: str, strength: float = 1.0) -> dict[str, list[float]]:
    """How far each sentence is from the neutral one, by what is measured."""
    pairs = [(heard(engine, text, voice, emotion, strength), heard(engine, text, voice)) for text in SENTENCES[voice]]
    return {
        "pitch": [np.log2(one.pitch / neutral.pitch) for one, neutral in pairs],
        "range": [one.pitch_range / neutral.pitch_range - 1 for one, neutral in pairs],
        "tempo": [neutral.seconds / one.seconds - 1 for one, neutral in pairs],
        "energy": [one.level - neutral.level for one, neutral in pairs],
        "tilt": [one.tilt - neutral.tilt for one, neutral in pairs],
    }


def test_every_emotion_has_stated_directions() -> None:
    assert set(STATED) == set(EMOTIONS) - {NEUTRAL}
    assert all({"pitch", "range", "tempo", "energy"} <= set(ways) for ways in STATED.values())


@pytest.mark.parametrize("voice", SENTENCES)
@pytest.mark.parametrize("emotion", STATED)
def test_nine_sentences_of_ten_differ_from_neutral_as_stated(engine: BuiltinEngine, emotion: str, voice: str) -> None:
    found = differences(engine, voice, emotion)

    differ = {name: sum(d * way > NOTICEABLE[name] for d in found[name]) for name, way in STATED[emotion].items()}
    assert {name: count for name, count in differ.items() if count < 9} == {}


@pytest.mark.parametrize("voice", ["en-slt", "zh-female-1"])  # a low voice's range ends at what the vocoder can say
@pytest.mark.parametrize("emotion", STATED)
def test_more_strength_is_more_of_it(engine: BuiltinEngine, emotion: str, voice: str) -> None:
    steps = [differences(engine, voice, emotion, strength) for strength in (0.0, 0.5, 1.0, 1.5, 2.0)]

    for name, way in STATED[emotion].items():
        along = [float(np.median(step[name])) * way for step in steps]
        assert along[0] == 0
        assert all(less < more for less, more in pairwise(along)), (name, along)


@pytest.mark.parametrize("voice", SENTENCES)
@pytest.mark.parametrize("emotion", STATED)
def test_strength_zero_is_neutral(engine: BuiltinEngine, emotion: str, voice: str) -> None:
    text = SENTENCES[voice][0]
    np.testing.assert_array_equal(
        say(engine, text, voice, emotion, 0.0).waveform.samples, say(engine, text, voice).waveform.samples
    )


def test_an_unknown_emotion_is_refused_with_all_there_are(engine: BuiltinEngine) -> None:
    with pytest.raises(ValueError, match=f"'bored'; there are: {', '.join(EMOTIONS)}"):
        say(engine, ENGLISH[0], "en-slt", "bored")
