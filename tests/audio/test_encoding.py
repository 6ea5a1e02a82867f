"""Every format holds the same sound: its length, pitch and level, whatever the rate."""

import io
import os
import struct
import threading
import wave
from typing import BinaryIO, cast

import numpy as np
import pytest

from audio.encoding import Encoder, NotAudio, decode, encode
from audio.waveform import Samples, Waveform
from shared.audio_formats import FORMATS

SOURCE_RATE = 24_000
EVERY_RATE = [(format, rate) for format, form in FORMATS.items() for rate in form.sample_rates]
LOSSLESS = ("wav", "flac")
# By how many samples audio may be longer: a frame that is filled up, and for AAC without an index one of delay.
FRAMES = {"wav": 0, "flac": 0, "mp3": 1152, "opus": 0, "aac": 2 * 1024, "m4a": 1024}


def sine(n: int, *, rate: int = SOURCE_RATE, amplitude: float = 0.5) -> Waveform:
    return Waveform((amplitude * np.sin(2 * np.pi * 440 * np.arange(n) / rate)).astype(np.float32), rate)


def noise(n: int) -> Waveform:
    samples = np.random.default_rng(7).uniform(-0.9, 0.9, n).astype(np.float32)
    return Waveform(samples, SOURCE_RATE)


def middle(waveform: Waveform) -> Samples:
    quarter = len(waveform.samples) // 4
    return waveform.samples[quarter:-quarter]


def pitch(waveform: Waveform) -> float:
    samples = middle(waveform)
    padded = 16 * len(samples)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), padded))
    return float(np.argmax(spectrum) * waveform.sample_rate / padded)


def level(waveform: Waveform) -> float:
    return float(20 * np.log10(np.sqrt(2 * np.mean(middle(waveform).astype(np.float64) ** 2))))


def in_pieces(waveform: Waveform, size: int, *, format: str, sample_rate: int) -> bytes:
    target = io.BytesIO()
    with Encoder(target, format=format, source_rate=waveform.sample_rate, sample_rate=sample_rate) as encoder:
        for start in range(0, len(waveform.samples), size):
            encoder.write(waveform.samples[start : start + size])
    return target.getvalue()


@pytest.mark.parametrize(("format", "rate"), EVERY_RATE)
def test_a_tone_keeps_its_rate_length_pitch_and_level(format: str, rate: int) -> None:
    source = sine(SOURCE_RATE + 1234)

    heard = decode(encode(source, format=format, sample_rate=rate))

    assert heard.sample_rate == (48_000 if format == "opus" else rate)  # an Opus decoder plays at 48 kHz
    extra = len(heard.samples) - source.seconds * heard.sample_rate
    assert -1 <= extra <= FRAMES[format] + 4  # a sample of the lowest Opus rate is 6 of the highest
    assert pitch(heard) == pytest.approx(440, abs=1)
    assert level(heard) == pytest.approx(20 * np.log10(0.5), abs=0.1)


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_samples_give_the_same_bytes_in_however_many_pieces(format: str) -> None:
    source = noise(20_001)
    whole = encode(source, format=format, sample_rate=16_000)

    assert encode(source, format=format, sample_rate=16_000) == whole
    assert in_pieces(source, 777, format=format, sample_rate=16_000) == whole
    assert in_pieces(source, 9_000, format=format, sample_rate=16_000) == whole


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("n", [1, 240])  # a sample; 10 ms
def test_a_very_short_sound_can_be_read_again(format: str, n: int) -> None:
    for rate in (8_000, 24_000):
        heard = decode(encode(sine(n), format=format, sample_rate=rate))

        assert len(heard.samples) >= n * heard.sample_rate // SOURCE_RATE


@pytest.mark.parametrize("format", FORMATS)
def test_silence_stays_silent(format: str) -> None:
    heard = decode(encode(Waveform(np.zeros(SOURCE_RATE, np.float32), SOURCE_RATE), format=format, sample_rate=24_000))

    assert np.max(np.abs(heard.samples)) < 1e-4


@pytest.mark.parametrize("format", LOSSLESS)
def test_what_is_too_loud_is_clipped_and_does_not_wrap(format: str) -> None:
    source = np.array([2, -2, 1, -1, 0.25], np.float32)

    heard = decode(encode(Waveform(source, SOURCE_RATE), format=format, sample_rate=SOURCE_RATE))

    np.testing.assert_allclose(heard.samples, [1, -1, 1, -1, 0.25], atol=1e-4)


@pytest.mark.parametrize("rate", [24_000, 8_000, 44_100, 48_000])
@pytest.mark.parametrize("format", LOSSLESS)
def test_lossless_length_is_exact(format: str, rate: int) -> None:
    heard = decode(encode(noise(12_345), format=format, sample_rate=rate))

    assert len(heard.samples) == -(-12_345 * rate // SOURCE_RATE)


def test_flac_keeps_24_bits() -> None:
    source = noise(30_000)

    heard = decode(encode(source, format="flac", sample_rate=SOURCE_RATE))

    assert np.max(np.abs(heard.samples - source.samples)) < 2**-22


def test_resampling_neither_moves_a_sound_nor_adds_one() -> None:
    click = np.zeros(SOURCE_RATE, np.float32)
    click[12_000] = 0.5

    assert np.argmax(decode(encode(Waveform(click, SOURCE_RATE), format="flac", sample_rate=48_000)).samples) == 24_000
    tone = decode(encode(sine(SOURCE_RATE), format="flac", sample_rate=44_100)).samples
    spectrum = np.abs(np.fft.rfft(tone * np.blackman(len(tone))))
    spectrum[430:451] = 0  # 1 Hz a bin
    assert np.max(spectrum) < 1e-4 * np.sum(np.blackman(len(tone))) / 4  # 80 dB below the tone


def test_a_wav_says_its_length_in_its_header() -> None:
    audio = encode(sine(1_000), format="wav", sample_rate=SOURCE_RATE)

    assert struct.unpack("<I", audio[4:8])[0] == len(audio) - 8
    with wave.open(io.BytesIO(audio)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, SOURCE_RATE)
        assert file.getnframes() == 1_000


@pytest.mark.parametrize("format", FORMATS)
def test_a_pipe_gets_the_same_bytes(format: str) -> None:
    received, sent = os.pipe()
    read: list[bytes] = []
    with os.fdopen(received, "rb") as source:
        reader = threading.Thread(target=lambda: read.append(source.read()))
        reader.start()
        with (
            cast(BinaryIO, os.fdopen(sent, "wb")) as target,
            Encoder(target, format=format, source_rate=SOURCE_RATE, sample_rate=16_000) as encoder,
        ):
            encoder.write(sine(5_000).samples)
        reader.join()

    assert read == [encode(sine(5_000), format=format, sample_rate=16_000)]


def test_an_mp3_tells_its_length_in_front() -> None:
    assert b"Info" in encode(sine(SOURCE_RATE), format="mp3", sample_rate=SOURCE_RATE)[:200]  # Xing's name at one rate


def test_an_m4a_has_its_index_in_front() -> None:
    audio = encode(sine(SOURCE_RATE), format="m4a", sample_rate=SOURCE_RATE)

    assert 0 < audio.index(b"moov") < audio.index(b"mdat")


def test_samples_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="not numbers"):
        encode(Waveform(np.array([0, np.nan], np.float32), SOURCE_RATE), format="wav", sample_rate=SOURCE_RATE)


def test_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to encode"):
        encode(Waveform(np.zeros(0, np.float32), SOURCE_RATE), format="wav", sample_rate=SOURCE_RATE)


@pytest.mark.parametrize("junk", [b"", b"not audio at all" * 100])
def test_other_bytes_are_not_audio(junk: bytes) -> None:
    with pytest.raises(NotAudio):
        decode(junk)


@pytest.mark.parametrize("position", [0.4, 0.8])
def test_a_damaged_segment_is_found(position: float) -> None:
    audio = bytearray(encode(noise(48_000), format="flac", sample_rate=SOURCE_RATE))
    audio[int(position * len(audio))] ^= 0x55

    with pytest.raises(NotAudio):
        decode(bytes(audio))


def test_a_segment_that_is_cut_short_is_found() -> None:
    audio = encode(noise(48_000), format="flac", sample_rate=SOURCE_RATE)

    with pytest.raises(NotAudio):
        decode(audio[: len(audio) // 2])
