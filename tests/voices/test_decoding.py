"""Clips as files: each format that is read, and hostile ones, which get a clear error in bounded time and memory."""

import io
import resource
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from audio.encoding import encode
from audio.waveform import Waveform
from sandbox import MIB
from tests.pictures import picture
from tests.worker.speechlike import speechlike
from voices.child import decode_safely
from voices.decoding import ClipLimits, UnreadableClip

MOST_SECONDS = 30.0
SPEECH = speechlike("a clip of a few seconds", seconds=4.0)


def encoded(container: str, codec: str, *, rate: int = 48_000, seconds: float = 4.0, video: bool = False) -> bytes:
    """Return a stereo file by FFmpeg, as a client may make it."""
    target = io.BytesIO()
    tone = np.tile(np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * 220 / rate) * 0.3, (2, 1)).astype(np.float32)
    file: Any
    with av.open(target, "w", format=container) as file:
        pictures = file.add_stream("mpeg4", rate=5) if video else None
        if pictures:
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        stream = file.add_stream(codec, rate=rate, layout="stereo", options={"strict": "-2"})
        if pictures:
            for _ in range(5):
                file.mux(pictures.encode(av.VideoFrame(64, 48, "yuv420p")))
            file.mux(pictures.encode(None))
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="stereo")
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format.name, "stereo", rate, stream.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))
    return target.getvalue()


def decoded(folder: Path, data: bytes, name: str = "clip", limits: ClipLimits | None = None) -> Waveform:
    (folder / name).write_bytes(data)
    return decode_safely(folder / name, limits=limits)


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("wav", "pcm_s16le"),
        ("wav", "pcm_f32le"),
        ("wav", "pcm_mulaw"),
        ("mp3", "mp3"),
        ("ipod", "aac"),
        ("ipod", "alac"),
        ("ogg", "libopus"),
        ("ogg", "vorbis"),
        ("flac", "flac"),
        ("webm", "libopus"),
        ("webm", "vorbis"),
    ],
)
def test_each_format_is_read_in_one_channel_at_its_length(tmp_path: Path, container: str, codec: str) -> None:
    sound = decoded(tmp_path, encoded(container, codec))

    assert sound.sample_rate == 48_000
    assert abs(sound.seconds - 4.0) < 0.1
    assert 0.1 < np.sqrt(np.mean(sound.samples**2)) < 0.32


def test_what_is_without_loss_comes_back_exact(tmp_path: Path) -> None:
    sound = decoded(tmp_path, encode(SPEECH, format="wav", sample_rate=SPEECH.sample_rate))

    assert sound.sample_rate == SPEECH.sample_rate
    assert np.max(np.abs(sound.samples - SPEECH.samples)) < 1 / 32000


@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_of_a_video_the_sound_is_taken(tmp_path: Path, container: str) -> None:
    data = encoded("mp4" if container == "mp4" else "matroska", "aac", video=True)

    assert abs(decoded(tmp_path, data).seconds - 4.0) < 0.1


def test_a_name_tells_nothing(tmp_path: Path) -> None:
    assert decoded(tmp_path, encoded("mp3", "mp3"), "clip.wav").seconds > 3.9
    assert decoded(tmp_path, encoded("wav", "pcm_s16le"), "clip.mp3").seconds > 3.9


def test_a_high_rate_is_brought_down(tmp_path: Path) -> None:
    sound = decoded(tmp_path, encoded("wav", "pcm_s16le", rate=192_000))

    assert sound.sample_rate == 48_000
    assert abs(sound.seconds - 4.0) < 0.01


def empty() -> bytes:
    return b""


def random_bytes() -> bytes:
    return np.random.default_rng(0).bytes(200_000)


def random_bytes_with_a_head() -> bytes:
    return b"fLaC" + random_bytes()


def playlist() -> bytes:
    return b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


def concatenation() -> bytes:
    return b"ffconcat version 1.0\nfile /etc/passwd\n"


def a_picture() -> bytes:
    return picture("image/png")


def half_an_m4a() -> bytes:
    data = encoded("ipod", "aac")
    return data[: len(data) // 2]


def video_without_sound() -> bytes:
    target = io.BytesIO()
    file: Any
    with av.open(target, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        file.mux(stream.encode(None))
    return target.getvalue()


def other_codec() -> bytes:
    return encoded("matroska", "ac3")


def a_day_of_silence() -> bytes:
    """Some hundred kilobytes of FLAC: a frame of silence is 14 bytes."""
    target = io.BytesIO()
    file: Any
    still = np.zeros((1, 48_000), np.int16)
    with av.open(target, "w", format="flac") as file:
        stream = file.add_stream("flac", rate=48_000, layout="mono")
        stream.format = "s16"
        for _ in range(3600):
            frame = av.AudioFrame.from_ndarray(still, format="s16", layout="mono")
            frame.sample_rate = 48_000
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return target.getvalue()


def too_large() -> bytes:
    return bytes(20 * MIB + 1)


def telephone() -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(4000)
        file.writeframes(bytes(40_000))
    return target.getvalue()


def no_samples() -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
    return target.getvalue()


def no_numbers() -> bytes:
    data = bytearray(encoded("wav", "pcm_f32le"))
    data[-4000:] = np.full(1000, np.nan, "<f4").tobytes()
    return bytes(data)


def shot_through() -> bytes:
    data = bytearray(encoded("flac", "flac"))
    data[1000::50] = bytes(len(data[1000::50]))
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (empty, "no audio file that is read here"),
        (random_bytes, "no audio file that is read here"),
        (random_bytes_with_a_head, "damaged"),
        (playlist, "no audio file that is read here"),
        (concatenation, "no audio file that is read here"),
        (a_picture, "no audio file that is read here"),
        (half_an_m4a, "damaged or incomplete"),
        (video_without_sound, "no audio in the file"),
        (other_codec, "coded in a way that is not read here"),
        (a_day_of_silence, "longer than 120 s"),
        (too_large, "20971521 bytes; a clip may have 20971520"),
        (telephone, "4000 Hz; at least 8000"),
        (no_samples, "no audio in the file|damaged"),
        (no_numbers, "no numbers"),
        (shot_through, "damaged"),
    ],
)
def test_a_hostile_file_gets_a_clear_error_in_bounded_time_and_memory(
    tmp_path: Path, make: Callable[[], bytes], says: str
) -> None:
    data = make()
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    began = time.monotonic()

    with pytest.raises(UnreadableClip, match=says):
        decoded(tmp_path, data)

    assert time.monotonic() - began < MOST_SECONDS
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # KiB; of the largest child so far
    assert peak <= max(before, ClipLimits().memory_bytes / 1024)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("container", "codec"), [("mp3", "mp3"), ("ogg", "libopus"), ("ipod", "aac"), ("wav", "pcm_s16le")]
)
def test_whatever_a_file_is_changed_to_there_is_sound_or_a_sentence(
    tmp_path: Path, container: str, codec: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    data = np.frombuffer(encoded(container, codec, seconds=2.0), np.uint8).copy()
    where = random.integers(0, len(data), len(data) // 100)
    data[where] = random.integers(0, 256, len(where))
    try:
        sound = decoded(tmp_path, data.tobytes()[: int(random.integers(len(data) // 2, len(data)))])
    except UnreadableClip:
        return
    assert np.all(np.abs(sound.samples) <= 1)


def test_a_decoder_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(UnreadableClip, match="0 seconds allowed"):
        decoded(tmp_path, encoded("wav", "pcm_s16le"), limits=ClipLimits(cpu_seconds=0, wall_seconds=0))


def test_a_decoder_short_of_memory_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableClip, match="memory"):
        decoded(tmp_path, encoded("wav", "pcm_s16le"), limits=ClipLimits(memory_bytes=64 * MIB))
