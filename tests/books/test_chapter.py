"""A chapter comes out at the loudness, length and rate that were asked for, with its tags, and says what it is."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tinytag import TinyTag

from audio.encoding import Encoder, NotAudio, decode
from audio.loudness import LoudnessMeter
from audio.waveform import Waveform, silence
from books.editions import EDITIONS, ChapterTags, chapter_starts, encode_chapter
from tests.books.spoken import COVER, encoded, flac, marked_chapter
from tests.sounds import speech

RATE = 24_000


@pytest.mark.parametrize("format", EDITIONS)
@pytest.mark.parametrize(("loudness", "lufs"), [("podcast", -19.0), ("podcast-16", -16.0)])
def test_what_is_heard_is_as_loud_as_was_asked(format: str, loudness: str, lufs: float) -> None:
    data, done = encoded(speech(4, RATE, level=0.03), format=format, loudness=loudness)
    heard = decode(data)
    meter = LoudnessMeter(heard.sample_rate)
    meter.push(heard.samples)

    found = meter.result()

    assert found.integrated_lufs == pytest.approx(lufs, abs=0.1)
    assert found.peak_db < -1
    assert done.after.integrated_lufs == pytest.approx(found.integrated_lufs, abs=0.1)
    assert done.before.integrated_lufs + done.gain_db == pytest.approx(lufs)
    assert done.warnings == ()


def test_without_a_target_the_samples_stay() -> None:
    sound = speech(1, RATE, level=0.9)

    data, done = encoded(sound, format="flac")

    np.testing.assert_allclose(decode(data).samples, sound.samples, atol=2**-23)
    assert (done.gain_db, done.warnings) == (0.0, ())
    assert done.before == done.after


@pytest.mark.parametrize("format", EDITIONS)
@pytest.mark.parametrize("sample_rate", [16_000, 24_000, 48_000])
def test_its_length_is_exact_at_every_rate(format: str, sample_rate: int) -> None:
    sound = Waveform(marked_chapter(1, RATE).samples[:-77], RATE)

    data, done = encoded(sound, format=format, sample_rate=sample_rate)

    assert done.seconds == sound.seconds
    assert done.sample_rate == sample_rate
    heard = decode(data)
    at_least = 0 if format == "m4b" else -1
    assert at_least <= (len(heard.samples) / heard.sample_rate - sound.seconds) * sample_rate <= 1024


@pytest.mark.parametrize("format", ["mp3", "opus", "flac"])
def test_another_reader_finds_its_tags_and_cover(format: str) -> None:
    data, _ = encoded(speech(1), format=format, number=2, count=7, cover=COVER)

    found = TinyTag.get(file_obj=io.BytesIO(data), image=True)

    assert (found.title, found.album, found.artist) == ("Chapter 2", "三国 & Friends", "A. Uthor")
    assert (found.track, found.track_total, found.year, found.genre) == (2, 7, "2026", "Audiobook")
    assert found.composer == "en-slt"
    assert found.images.front_cover
    assert found.images.front_cover.data == COVER.data


@pytest.mark.parametrize("format", EDITIONS)
def test_the_same_chapter_gives_the_same_bytes(format: str) -> None:
    sound = speech(1, level=0.9)

    first, _ = encoded(sound, format=format, loudness="acx", cover=COVER)

    assert encoded(sound, format=format, loudness="acx", cover=COVER)[0] == first


def test_a_bound_that_is_missed_is_said() -> None:
    noise = np.random.default_rng(5).normal(0, 0.01, RATE).astype(np.float32)

    _, done = encoded(Waveform(noise, RATE), format="mp3", loudness="acx")

    assert done.warnings == ("the noise floor is -20.0 dB; -60 is allowed",)


@pytest.mark.parametrize(("sample_rate", "kilobits"), [(44_100, 192), (24_000, 64)])
def test_acx_gets_the_mp3_that_it_asks_for_where_mp3_has_it(sample_rate: int, kilobits: int) -> None:
    data, done = encoded(speech(2), format="mp3", loudness="acx", sample_rate=sample_rate)

    found = TinyTag.get(file_obj=io.BytesIO(data))

    assert found.bitrate == pytest.approx(kilobits, abs=0.1)
    assert found.samplerate == sample_rate
    assert done.after.rms_db == pytest.approx(-20, abs=0.5)


def test_chapters_begin_where_those_before_them_end() -> None:
    _, short = encoded(Waveform(speech(1).samples[:10_000], RATE), format="flac")
    _, long = encoded(Waveform(speech(2).samples[:36_000], RATE), format="flac")

    assert chapter_starts([one.slot for one in (short, long, short)]) == pytest.approx(
        [0.0, 10_000 / RATE, 46_000 / RATE]
    )
    assert chapter_starts([]) == []


@pytest.mark.parametrize("data", [b"", b"no audio at all"])
def test_a_source_that_is_no_audio_is_refused(data: bytes) -> None:
    target = io.BytesIO()

    with pytest.raises(NotAudio):
        encode_chapter(
            io.BytesIO(data), target, format="mp3", loudness="none", sample_rate=RATE, tags=ChapterTags("x", 1, 1)
        )

    assert target.getvalue() == b""


def test_a_source_that_was_cut_off_is_refused() -> None:
    whole = flac(speech(3)).getvalue()

    with pytest.raises(NotAudio):
        encode_chapter(
            io.BytesIO(whole[: len(whole) // 2]),
            io.BytesIO(),
            format="mp3",
            loudness="none",
            sample_rate=RATE,
            tags=ChapterTags("x", 1, 1),
        )


def test_a_silent_chapter_stays_silent() -> None:
    data, done = encoded(silence(1.0, RATE), format="flac", loudness="podcast")

    assert not decode(data).samples.any()
    assert done.gain_db == 0
    assert done.warnings == ("loudness is -70.0 LUFS; wanted is -19, 1 more or less",)


ENCODE = """
import re
import sys
from pathlib import Path
from books.editions import ChapterTags, encode_chapter
tags = ChapterTags("Long", 1, 1)
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
    done = encode_chapter(source, target, format="wav", loudness="podcast", sample_rate=16_000, tags=tags)
print(done.seconds, re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def test_a_long_chapter_is_never_held_as_samples(tmp_path: Path) -> None:
    minute = speech(60, 16_000).samples
    path = tmp_path / "chapter.flac"
    with path.open("wb") as file, Encoder(file, format="flac", source_rate=16_000, sample_rate=16_000) as encoder:
        for _ in range(10):
            encoder.write(minute)
    command = [sys.executable, "-c", ENCODE, str(path), str(tmp_path / "chapter.wav")]

    seconds, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    as_samples = float(seconds) * 16_000 * 4
    assert as_samples > 35e6
    assert 20e6 < int(peak) * 1024 < 80e6  # 65 MB were seen, of which 45 are the libraries
