"""Audio that is encoded while it comes."""

import io
import wave

import numpy as np
import pytest

from audio.encoding import decode
from audio.streaming import STREAMED, StreamEncoder
from audio.waveform import Samples, Waveform

RATE = 16_000
CODED = ("mp3", "opus", "aac", "flac")
# What a codec without a place for its length has in front and behind, in samples at 24 kHz.
MOST_PADDING = 2400


def tone(seconds: float, hertz: float = 300.0) -> Samples:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def streamed(format: str, samples: Samples, *, piece: int = 1600, sample_rate: int = 24_000) -> list[bytes]:
    encoder = StreamEncoder(format, source_rate=RATE, sample_rate=sample_rate)
    pieces = [encoder.push(samples[start : start + piece]) for start in range(0, len(samples), piece)]
    return [*pieces, encoder.finish()]


def heard(format: str, body: bytes, *, sample_rate: int = 24_000) -> Waveform:
    if format == "pcm":
        return Waveform(np.frombuffer(body, "<i2").astype(np.float32) / np.float32(32768), sample_rate)
    return decode(body)


@pytest.mark.parametrize("format", STREAMED)
def test_what_was_streamed_is_what_went_in(format: str) -> None:
    waveform = heard(format, b"".join(streamed(format, tone(2.0))))

    extra = len(waveform.samples) - 2 * waveform.sample_rate
    assert 0 <= extra <= (MOST_PADDING * waveform.sample_rate // 24_000 if format in ("mp3", "aac", "opus") else 0)
    spectrum = np.abs(np.fft.rfft(waveform.samples))
    assert np.argmax(spectrum) * waveform.sample_rate / len(waveform.samples) == pytest.approx(300, abs=2)
    assert np.sqrt(np.mean(waveform.samples**2)) == pytest.approx(0.4 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("format", STREAMED)
def test_a_reader_is_at_most_a_quarter_of_a_second_behind(format: str) -> None:
    pieces = streamed(format, tone(2.0))

    so_far = heard(format, b"".join(pieces[:10]))  # of one second
    assert len(so_far.samples) / so_far.sample_rate >= 0.75


@pytest.mark.parametrize("format", STREAMED)
def test_the_size_of_the_pieces_changes_only_when_it_comes(format: str) -> None:
    samples = tone(1.0)
    large, small = b"".join(streamed(format, samples, piece=8000)), b"".join(streamed(format, samples, piece=320))

    one, other = heard(format, large), heard(format, small)
    assert len(one.samples) == len(other.samples)
    assert np.max(np.abs(one.samples - other.samples)) < 0.01


def test_mp3_bodies_can_be_joined() -> None:
    bodies = [b"".join(streamed("mp3", tone(1.0, hertz))) for hertz in (300, 500, 700)]

    joined = decode(b"".join(bodies))

    assert all(body[0] == 0xFF and b"Xing" not in body and b"Info" not in body for body in bodies)
    assert joined.seconds == pytest.approx(3.0, abs=0.3)


def test_a_wav_can_be_read_though_it_tells_no_length() -> None:
    body = b"".join(streamed("wav", tone(1.0), sample_rate=RATE))

    with wave.open(io.BytesIO(body)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        assert len(file.readframes(file.getnframes())) == 2 * RATE


def test_nothing_at_all_is_still_a_body_that_ends() -> None:
    for format in STREAMED:
        StreamEncoder(format, source_rate=RATE, sample_rate=RATE).finish()
