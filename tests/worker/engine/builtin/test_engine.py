"""The builtin engine with the real programs: what it says, how it sounds, and what it does without them."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.worker.engine.builtin.acoustics import measure
from worker.engine import EngineOptions, EngineUnavailable, Speech, UnspeakableText, Utterance, load_engine
from worker.engine.builtin import BuiltinEngine
from worker.engine.builtin.programs import find_program

VOICES = ["en-slt", "en-rms", "en-awb", "en-kal16", "zh-female-1", "zh-female-2", "zh-male-1", "zh-male-2"]
ENGLISH = ("The weather is very nice today.", "I never said that he would come alone.")
CHINESE = ("今天天气很好，去公园吧。", "他没有告诉我这件事情。")
MIXED_AMID = "我昨天用 Python language 写了很多代码。"
MIXED = "我用 Python 写代码，然后上传到 GitHub。"


@pytest.fixture(scope="module")
def engine() -> BuiltinEngine:
    return BuiltinEngine()


@cache  # the tests ask for the same sentences often
def speak(engine: BuiltinEngine, utterance: Utterance) -> Speech:
    (speech,) = engine.synthesize([utterance])
    return speech


def say(engine: BuiltinEngine, text: str, voice: str = "en-slt", **options: float | str) -> Speech:
    return speak(engine, replace(Utterance(text, voice), **options))


def test_it_is_loaded_by_name_and_has_the_voices() -> None:
    engine = load_engine("builtin", EngineOptions())

    assert [voice.id for voice in engine.voices] == VOICES
    assert {voice.gender for voice in engine.voices} == {"female", "male"}
    assert all(set(voice.languages) == {"en", "zh"} for voice in engine.voices)
    assert engine.missing == {}
    assert not engine.free_text_emotion


def test_two_engines_of_one_machine_have_one_revision(engine: BuiltinEngine) -> None:
    assert BuiltinEngine().revision == engine.revision


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("text", [ENGLISH[0], CHINESE[0], MIXED])
def test_every_voice_speaks_every_kind_of_sentence(engine: BuiltinEngine, voice: str, text: str) -> None:
    speech = say(engine, text, voice)
    heard = measure(speech)

    assert speech.waveform.sample_rate == engine.sample_rate
    assert speech.waveform.samples.dtype == np.float32
    assert 1.5 < heard.seconds < 5
    assert heard.peak < 10 ** (-1 / 20)
    assert heard.level == pytest.approx(-20, abs=1)  # the limiter takes up to 1 dB from a peaky voice
    assert heard.voiced_share > 0.25


def test_the_genders_differ_in_pitch(engine: BuiltinEngine) -> None:
    pitches = {voice.id: measure(say(engine, ENGLISH[0], voice.id)).pitch for voice in engine.voices}

    assert min(pitches[v.id] for v in engine.voices if v.gender == "female") > 145
    assert max(pitches[v.id] for v in engine.voices if v.gender == "male") < 140


def test_length_grows_with_text(engine: BuiltinEngine) -> None:
    for words in ("The cat sat. " * 3, "我们去公园。" * 3):
        lengths = [measure(say(engine, words[: len(words) // 3 * n])).seconds for n in (1, 2, 3)]
        assert lengths[0] * 1.6 < lengths[1] < lengths[2] / 1.2


def test_the_same_seed_gives_the_same_samples(engine: BuiltinEngine) -> None:
    utterance = Utterance(MIXED, "en-slt", "fearful", seed=7)
    first, second, fresh = (e.synthesize([utterance])[0].waveform.samples for e in (engine, engine, BuiltinEngine()))

    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, fresh)


def test_another_seed_gives_another_tremor(engine: BuiltinEngine) -> None:
    first, second = (say(engine, ENGLISH[0], emotion="fearful", seed=seed).waveform.samples for seed in (1, 2))
    assert not np.array_equal(first, second)


def test_a_batch_equals_its_parts(engine: BuiltinEngine) -> None:
    utterances = [
        Utterance(ENGLISH[1], "en-rms", "happy"),
        Utterance(CHINESE[1], "zh-female-1"),
        Utterance(MIXED, "en-slt"),
    ]
    batch = engine.synthesize(utterances)

    for utterance, speech in zip(utterances, batch, strict=True):
        (alone,) = engine.synthesize([utterance])
        np.testing.assert_array_equal(alone.waveform.samples, speech.waveform.samples)
        assert alone.words == speech.words


@pytest.mark.parametrize(("voice", "text"), [("en-slt", ENGLISH[0]), ("zh-male-1", CHINESE[0])])
@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_speed_changes_the_length_and_not_the_pitch(engine: BuiltinEngine, voice: str, text: str, speed: float) -> None:
    plain, changed = measure(say(engine, text, voice)), measure(say(engine, text, voice, speed=speed))

    assert changed.seconds * speed == pytest.approx(plain.seconds, rel=0.1)
    assert changed.pitch == pytest.approx(plain.pitch, rel=0.05)


def test_the_loudest_is_never_clipped(engine: BuiltinEngine) -> None:
    heard = measure(say(engine, "Stop! 站住！", "zh-male-1", emotion="angry", emotion_strength=2.0))
    assert heard.peak < 10 ** (-1 / 20)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop at 5:30.", ["Don't", "stop", "at", "5:30"]),
        ("今天涨了3.5%。", ["今", "天", "涨", "了", "3.5%"]),
        (MIXED, ["我", "用", "Python", "写", "代", "码", "然", "后", "上", "传", "到", "GitHub"]),
        ("GPT-4 costs $1,234.56, ok?", ["GPT", "4", "costs", "$1,234.56", "ok"]),
    ],
)
@pytest.mark.parametrize("voice", ["en-slt", "zh-female-2"])
@pytest.mark.parametrize("speed", [1.0, 1.5])
def test_word_timings(engine: BuiltinEngine, text: str, words: list[str], voice: str, speed: float) -> None:
    speech = say(engine, text, voice, speed=speed)
    edges = [edge for word in speech.words for edge in (word.start_seconds, word.end_seconds)]

    assert [word.word for word in speech.words] == words
    assert edges == sorted(edges)
    assert edges[0] < 0.1
    assert speech.waveform.seconds - 0.2 < edges[-1] <= speech.waveform.seconds
    assert all(word.end_seconds - word.start_seconds > 0.03 for word in speech.words)


def test_timings_find_the_pause(engine: BuiltinEngine) -> None:
    for voice, text in (("en-slt", "Wait here, then go."), ("zh-female-1", "等一下，再走。")):
        speech = say(engine, text, voice)
        gaps = [(b.start_seconds - a.end_seconds, a, b) for a, b in zip(speech.words, speech.words[1:], strict=False)]
        length, before, after = max(gaps, key=lambda gap: gap[0])
        middle = speech.waveform.samples[
            round((before.end_seconds + 0.03) * engine.sample_rate) : round(
                (after.start_seconds - 0.03) * engine.sample_rate
            )
        ]
        assert (before.word, after.word) in {("here", "then"), ("下", "再")}
        assert length > 0.08
        assert np.sqrt(np.mean(middle**2)) < 0.01


def test_a_mixed_sentence_holds_both_languages_in_one_register(engine: BuiltinEngine) -> None:
    for voice in VOICES:
        chinese, mixed = say(engine, "我昨天用写了很多代码。", voice), say(engine, MIXED_AMID, voice)
        english = [word for word in mixed.words if word.word.isascii()]
        start, end = english[0].start_seconds, english[-1].end_seconds

        assert mixed.waveform.seconds > chinese.waveform.seconds + 0.5
        assert end - start > 0.5
        home, partner = measure(mixed, 0, start).pitch, measure(mixed, start, end).pitch
        assert abs(np.log2(partner / home)) < 0.4


def test_what_cannot_be_read_is_named(engine: BuiltinEngine) -> None:
    with pytest.raises(UnspeakableText, match="CYRILLIC"):
        say(engine, "Hello Привет")
    with pytest.raises(UnspeakableText, match="nothing can be spoken"):
        say(engine, "...")


def test_wrong_choices_are_refused_with_the_right_ones(engine: BuiltinEngine) -> None:
    with pytest.raises(ValueError, match=r"'nobody'.*en-slt"):
        say(engine, "Hi", "nobody")
    with pytest.raises(ValueError, match=r"'bored'.*gentle"):
        say(engine, "Hi", emotion="bored")
    with pytest.raises(ValueError, match="0 to 2"):
        say(engine, "Hi", emotion_strength=3.0)
    with pytest.raises(ValueError, match=r"0\.25 to 4"):
        say(engine, "Hi", speed=9.0)


def path_with(folder: Path, *programs: str) -> str:
    """A search path on which only these programs are found."""
    for program in programs:
        found = find_program(program)
        assert found
        (folder / program).symlink_to(found)
    return str(folder)


def test_without_espeak_the_chinese_voices_are_missing(tmp_path: Path) -> None:
    engine = BuiltinEngine(path_with(tmp_path, "flite"))

    assert [voice.id for voice in engine.voices] == VOICES[:4]
    assert {voice.languages for voice in engine.voices} == {("en",)}
    assert set(engine.missing) == set(VOICES[4:])
    assert "package espeak-ng" in engine.missing["zh-male-1"]
    assert measure(say(engine, ENGLISH[0])).seconds > 1.5
    with pytest.raises(UnspeakableText, match="install espeak-ng"):
        say(engine, CHINESE[0])
    with pytest.raises(ValueError, match="package espeak-ng"):
        say(engine, CHINESE[0], "zh-male-1")


def test_without_flite_the_chinese_voices_read_english_too(tmp_path: Path) -> None:
    engine = BuiltinEngine(path_with(tmp_path, "espeak-ng"))

    assert [voice.id for voice in engine.voices] == VOICES[4:]
    assert "package flite" in engine.missing["en-slt"]
    speech = say(engine, "我用 Python language 写代码。", "zh-female-1")
    assert [word.word for word in speech.words if word.word.isascii()] == ["Python", "language"]


def test_without_any_program_both_are_named(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"flite.*espeak-ng"):
        BuiltinEngine(path_with(tmp_path))


def test_the_revision_names_the_programs(engine: BuiltinEngine, tmp_path: Path) -> None:
    assert BuiltinEngine(path_with(tmp_path, "flite")).revision != engine.revision


def test_it_warms_up_and_speaks_each_language_at_once(engine: BuiltinEngine) -> None:
    engine.warm_up()


@pytest.mark.parametrize("voice", ["en-rms", "zh-female-1"])
def test_a_shifted_pitch_is_heard(engine: BuiltinEngine, voice: str) -> None:
    text = ENGLISH[0] if voice.startswith("en") else CHINESE[0]
    plain, higher = measure(say(engine, text, voice)), measure(say(engine, text, voice, pitch_shift=4.0))

    assert 12 * np.log2(higher.pitch / plain.pitch) == pytest.approx(4, abs=0.7)


def test_a_scaled_pitch_is_flatter_or_wider(engine: BuiltinEngine) -> None:
    flat, plain, wide = (measure(say(engine, ENGLISH[0], pitch_scale=scale)) for scale in (0.2, 1.0, 1.6))

    assert flat.pitch_range < plain.pitch_range < wide.pitch_range


def test_a_shifted_energy_is_heard(engine: BuiltinEngine) -> None:
    plain, quiet = measure(say(engine, ENGLISH[0])), measure(say(engine, ENGLISH[0], energy_shift=-6.0))

    assert plain.level - quiet.level == pytest.approx(6, abs=0.5)


def test_phonemes_that_it_cannot_follow_are_warned_of_and_their_word_is_spoken(engine: BuiltinEngine) -> None:
    plain, given = say(engine, "I like Emoti much."), say(engine, "I like [Emoti](/IH0 M OW1 T IY0/) much.")

    assert np.array_equal(plain.waveform.samples, given.waveform.samples)
    assert (len(plain.warnings), len(given.warnings)) == (0, 1)
