"""What a reference clip has to be, on speech of the builtin engine and on what was done to it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from audio.waveform import Samples, Waveform
from voices.clip import Clip, PoorClip, checked
from voices.encoder import load_encoder, similarity
from worker.engine import Utterance, load_engine
from worker.engine.options import EngineOptions

TEXT = (
    "The boy was there when the sun rose, and we all heard her say good morning to everyone in the house. "
    "Please remember to bring your umbrella tomorrow, because it may rain."
)


@cache
def speech(voice: str = "en-slt") -> Waveform:
    engine = load_engine("builtin", EngineOptions())
    return engine.synthesize([Utterance(TEXT, voice)])[0].waveform


def with_samples(samples: Samples) -> Waveform:
    return replace(speech(), samples=samples.astype(np.float32))


def noise(level_dbfs: float) -> Samples:
    random = np.random.default_rng(0).standard_normal(len(speech().samples))
    return (random * 10 ** (level_dbfs / 20)).astype(np.float32)


def check(recording: Waveform) -> Clip:
    return checked(recording, load_encoder())


def problem_of(recording: Waveform) -> str:
    with pytest.raises(PoorClip) as poor:
        check(recording)
    assert len(poor.value.problems) == 1
    return poor.value.problems[0]


@pytest.mark.parametrize("voice", ["en-slt", "en-rms", "en-awb"])
def test_clear_speech_of_one_person_will_do(voice: str) -> None:
    clip = check(speech(voice))

    assert clip.report.alike is not None
    assert clip.report.alike > 0.85
    assert similarity(clip.embedding, check(speech(voice)).embedding) == pytest.approx(1)


def test_silence_at_the_ends_is_cut_off() -> None:
    pause = np.zeros(2 * speech().sample_rate, np.float32)

    clip = check(with_samples(np.concatenate([pause, speech().samples, pause])))

    assert clip.waveform.seconds == pytest.approx(check(speech()).waveform.seconds, abs=0.2)


def test_quiet_noise_does_no_harm() -> None:
    assert check(with_samples(speech().samples + noise(-60))).report.snr_db > 20


def test_noise_is_told_with_what_to_do() -> None:
    assert "quiet room" in problem_of(with_samples(speech().samples + noise(-28)))


def test_a_clip_that_is_too_short_is_told_its_length() -> None:
    assert "it has 2." in problem_of(with_samples(speech().samples[: round(2.4 * speech().sample_rate)]))


def test_a_clip_that_is_too_long_is_told_its_length() -> None:
    assert "30 are needed" in problem_of(with_samples(np.tile(speech().samples, 5)))


def test_a_recording_with_too_much_gain_is_told() -> None:
    assert "less gain" in problem_of(with_samples(np.clip(speech().samples * 12, -1, 1)))


def test_a_recording_that_is_too_quiet_is_told() -> None:
    assert "nearer to the microphone" in problem_of(with_samples(speech().samples * 0.06))


def test_two_people_are_told_apart() -> None:
    both = np.concatenate([speech("en-slt").samples, speech("en-kal16").samples])

    assert "one speaker" in problem_of(with_samples(both))


@pytest.mark.parametrize(("level", "told"), [(-20.0, "noisy"), (-60.0, "No speech")])
def test_noise_alone_will_not_do(level: float, told: str) -> None:
    assert told in problem_of(with_samples(noise(level)))


def test_nothing_at_all_is_no_speech() -> None:
    assert "No speech" in problem_of(with_samples(np.zeros(0, np.float32)))
