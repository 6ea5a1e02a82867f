"""The speaker encoder against Resemblyzer's own code, and on the voices that are here."""

import json
from pathlib import Path

import numpy as np
import pytest

from audio.waveform import Waveform
from voices.encoder import SIZE, NoSpeech, encoder_revision, load_encoder, similarity, unit

# What resemblyzer 0.1.4 with torch and librosa returns for `buzz` at -30 dBFS.
REFERENCE = json.loads((Path(__file__).parent / "resemblyzer.json").read_text())


def buzz(pitch: int, seconds: float = 4.0) -> Waveform:
    """Return harmonics of a pitch that wobbles, in noise: nothing that depends on a program or a codec."""
    times = np.arange(round(seconds * 16_000)) / 16_000
    phase = 2 * np.pi * pitch * (times + 0.02 * np.sin(2 * np.pi * 3 * times) / 3)
    tone = sum(np.sin(n * phase) / n for n in range(1, 30))
    noise = np.random.default_rng(0).standard_normal(len(times))
    return Waveform((0.1 * tone + 0.005 * noise).astype(np.float32), 16_000)


@pytest.mark.parametrize("pitch", [110, 210])
def test_an_embedding_is_resemblyzers(pitch: int) -> None:
    embedding = load_encoder().embed(buzz(pitch))

    assert embedding.shape == (SIZE,)
    assert np.abs(embedding - np.array(REFERENCE[str(pitch)])).max() < 1e-3


def test_two_lengths_of_one_sound_are_more_alike_than_two_sounds() -> None:
    encoder = load_encoder()
    one, longer, other = (encoder.embed(sound) for sound in (buzz(110), buzz(110, 7.0), buzz(210)))

    assert similarity(one, longer) > 0.95 > similarity(one, other)


def test_a_quiet_recording_of_another_rate_is_the_same_person() -> None:
    sound = buzz(110)
    samples = np.repeat(sound.samples, 2) * 0.01  # at 32 kHz; its images are above what is looked at

    assert similarity(load_encoder().embed(sound), load_encoder().embed(Waveform(samples, 32_000))) > 0.97


def test_what_is_shorter_than_one_look_has_an_embedding_too() -> None:
    assert np.linalg.norm(load_encoder().embed(buzz(110, 0.5))) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(16_000, np.float32)])
def test_silence_has_no_speaker(samples: np.ndarray) -> None:
    with pytest.raises(NoSpeech):
        load_encoder().embed(Waveform(samples.astype(np.float32), 16_000))


def test_the_similarity_of_a_voice_with_itself_is_one() -> None:
    vector = unit(np.arange(1, 257, dtype=np.float32))

    assert similarity(vector, 3 * vector) == pytest.approx(1)


def test_recordings_that_are_embedded_together_are_embedded_as_alone() -> None:
    encoder = load_encoder()
    sounds = [buzz(110), buzz(210, 7.0), buzz(150, 1.0)]

    for together, sound in zip(encoder.embed_all(sounds), sounds, strict=True):
        assert together == pytest.approx(encoder.embed(sound), abs=1e-5)


def test_the_revision_is_known_without_the_network() -> None:
    assert encoder_revision() == load_encoder().revision
