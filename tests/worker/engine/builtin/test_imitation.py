"""The builtin engine imitates reference clips: by the speaker encoder, and by what a listener would notice."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from audio.waveform import Waveform
from tests.worker.engine.builtin.acoustics import measure
from voices.encoder import load_encoder, similarity
from worker.engine import Imitates, Imitation, ReferenceClip, Speech, Utterance
from worker.engine.builtin import BuiltinEngine
from worker.engine.builtin.imitation import SENTENCE
from worker.engine.builtin.likeness import BAND_HERTZ, LIKENESS_VERSION, Likeness

CLIP = {
    "en": "It is a truth universally acknowledged, that a single man must be in want of a wife.",
    "zh": "从前有一座山，山上有一座庙，庙里住着一个老和尚，他每天都给孩子们讲故事。",
}
HELD_OUT = {
    "en": "Please remember to bring your umbrella tomorrow, because the weather report says that it will rain.",
    "zh": "请记得明天带上雨伞，因为天气预报说下午会下大雨，路上一定要小心。",
}
SHORT, SHORT_CHINESE = "I never said that he would come alone.", "今天天气很好，我们一起去公园吧。"
PLAIN = Likeness(from_octaves=7.5, to_octaves=7.5, stretch=1.0, warp=1.0, breath=0.0, gains=(0.0,) * len(BAND_HERTZ))


@pytest.fixture(scope="module")
def engine() -> BuiltinEngine:
    return BuiltinEngine()


@cache
def say(engine: BuiltinEngine, text: str, voice: str | Imitation, **options: float | str) -> Speech:
    (speech,) = engine.synthesize([replace(Utterance(text, voice), **options)])
    return speech


def clip_of(engine: BuiltinEngine, voice: str, text: str = "") -> ReferenceClip:
    waveform = say(engine, text or CLIP[voice[:2]], voice).waveform
    return ReferenceClip(waveform, tuple(load_encoder().embed(waveform).tolist()))


@cache
def imitation_of(engine: BuiltinEngine, reference: str, home: str) -> Imitation:
    return engine.imitate(clip_of(engine, reference), voice=home)


@pytest.mark.parametrize(
    ("language", "home"), [("en", "en"), ("en-GB", "en"), ("zh-CN", "zh"), ("fr", "zh"), ("", "zh")]
)
def test_it_begins_with_a_voice_of_the_language_that_it_is_for(engine: BuiltinEngine, language: str, home: str) -> None:
    clip = replace(clip_of(engine, "zh-male-1"), language=language)

    assert engine.imitate(clip).voice[:2] == home


def alike(one: Speech, other: Speech) -> float:
    first, second = load_encoder().embed_all([one.waveform, other.waveform])
    return similarity(first, second)


PAIRS = [("en-slt", "en-rms"), ("en-kal16", "en-awb"), ("zh-male-1", "zh-female-1")]


@pytest.mark.parametrize(("home", "reference"), PAIRS)
def test_an_imitation_is_more_like_a_sentence_that_it_never_heard(
    engine: BuiltinEngine, home: str, reference: str
) -> None:
    text = HELD_OUT[reference[:2]]
    held_out = say(engine, text, reference)
    imitation = imitation_of(engine, reference, home)

    assert imitation.voice == home
    assert alike(say(engine, text, imitation), held_out) > alike(say(engine, text, home), held_out) + 0.05


def test_it_has_the_pitch_of_the_clip(engine: BuiltinEngine) -> None:
    heard = measure(say(engine, SHORT, imitation_of(engine, "en-rms", "en-slt")))

    assert abs(np.log2(heard.pitch / measure(say(engine, CLIP["en"], "en-rms")).pitch)) < 0.35
    assert heard.pitch < 0.75 * measure(say(engine, SHORT, "en-slt")).pitch


def test_equal_clips_have_equal_imitations(engine: BuiltinEngine) -> None:
    again = BuiltinEngine().imitate(clip_of(engine, "en-rms"), voice="en-slt")

    assert again == imitation_of(engine, "en-rms", "en-slt")


def test_a_clip_of_a_voice_that_is_here_is_spoken_by_that_voice_as_it_is(engine: BuiltinEngine) -> None:
    imitation = engine.imitate(clip_of(engine, "en-slt", SENTENCE["en"]))

    assert replace(imitation, similarity=None) == Imitation("en-slt")
    assert imitation.similarity == pytest.approx(1, abs=1e-3)
    plain = say(engine, SHORT, "en-slt").waveform
    np.testing.assert_array_equal(say(engine, SHORT, imitation).waveform.samples, plain.samples)


@pytest.mark.parametrize("text", [SHORT, SHORT_CHINESE, "我用 Python 写代码。"])
def test_emotion_speed_and_pitch_are_obeyed(engine: BuiltinEngine, text: str) -> None:
    imitation = imitation_of(engine, "en-rms", "en-slt")
    plain, happy, sad, fast, high = (
        measure(say(engine, text, imitation, **options))
        for options in ({}, {"emotion": "happy"}, {"emotion": "sad"}, {"speed": 1.5}, {"pitch_shift": 4.0})
    )

    assert sad.pitch < plain.pitch * 0.95
    assert happy.pitch > plain.pitch * 1.05
    assert fast.seconds == pytest.approx(plain.seconds / 1.5, rel=0.05)
    assert 12 * np.log2(high.pitch / plain.pitch) == pytest.approx(4, abs=0.7)


def test_the_words_are_where_those_of_the_voice_are(engine: BuiltinEngine) -> None:
    assert say(engine, SHORT, imitation_of(engine, "en-rms", "en-slt")).words == say(engine, SHORT, "en-slt").words


def test_a_whisper_is_spoken_by_the_nearest_voice_and_said_to_be(engine: BuiltinEngine) -> None:
    noise = Waveform((0.1 * np.random.default_rng(0).standard_normal(4 * 16_000)).astype(np.float32), 16_000)
    imitation = engine.imitate(ReferenceClip(noise, tuple(load_encoder().embed(noise).tolist())))

    assert imitation.numbers == ()
    assert "no pitch" in imitation.warnings[0]
    assert say(engine, SHORT, imitation).warnings == imitation.warnings


def test_an_imitation_far_from_its_clip_says_so(engine: BuiltinEngine) -> None:
    clip = clip_of(engine, "en-rms")
    nobody = np.roll(clip.embedding, 100)
    imitation = engine.imitate(replace(clip, embedding=tuple(nobody.tolist())), voice="en-rms")

    assert "did not come near" in imitation.warnings[0]


def test_numbers_say_what_they_are() -> None:
    numbers = PLAIN.numbers()

    assert numbers[0] == LIKENESS_VERSION
    assert Likeness.of(numbers) == PLAIN


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ((0.5,) * 384, r"54 numbers, the first of them 1; this one has 384, the first of them 0\.5"),
        (replace(PLAIN, stretch=9.0).numbers(), r"the stretch of an imitation is 0\.2 to 4, not 9"),
        (replace(PLAIN, to_octaves=float("nan")).numbers(), r"pitch to be .* not nan"),
        (replace(PLAIN, gains=(99.0,) * len(BAND_HERTZ)).numbers(), r"the gain \(dB\) .* not 99"),
    ],
)
def test_numbers_of_another_engine_are_refused(engine: BuiltinEngine, numbers: tuple[float, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        say(engine, SHORT, Imitation("en-slt", numbers))


def test_an_imitation_of_a_voice_that_is_not_here_is_refused(engine: BuiltinEngine) -> None:
    with pytest.raises(ValueError, match="'nobody'"):
        say(engine, SHORT, Imitation("nobody", PLAIN.numbers()))


def test_it_imitates_by_a_revision_of_its_own(engine: BuiltinEngine) -> None:
    assert isinstance(engine, Imitates)
    assert engine.imitation_revision != engine.revision
    assert load_encoder().revision in engine.imitation_revision
