"""An M4B has every chapter where it says, without a click or a gap, and what a player shows of it."""

import io
import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from tinytag import TinyTag

from audio.encoding import decode
from audio.waveform import Samples, Waveform
from books.editions import Cover, UnusableCover, assemble, chapter_starts
from books.editions.m4b import UnlikeChapters
from tests.books.spoken import COVER, METADATA, as_files, encoded, mark, marked_chapter
from tests.clicks import clicks
from tests.pictures import picture
from tests.sounds import speech

TITLES = ["Opening", "第二章 & more", "Zoë’s last"]


def book(audio: list[bytes], *, titles: list[str] | None = None, cover: Cover | None = None) -> bytes:
    target = io.BytesIO()
    assemble(as_files(audio, titles or TITLES), target, format="m4b", metadata=METADATA, cover=cover)
    return target.getvalue()


def chapters(data: bytes) -> list[tuple[float, float, str]]:
    with av.open(io.BytesIO(data), "r") as container:
        return [
            (float(one["start"] * base), float(one["end"] * base), one["metadata"]["title"])
            for one in container.chapters()
            if (base := one["time_base"])
        ]


def begins(samples: Samples, rate: int, about: float) -> float:
    """Return where the mark begins, looking 0.2 s to both sides."""
    first = max(0, round((about - 0.2) * rate))
    near = samples[first : round((about + 0.25) * rate)]
    return (first + int(np.argmax(np.correlate(near, mark(rate), "valid")))) / rate


def nero_chapters(data: bytes) -> list[tuple[float, str]]:
    """Read the box `chpl` as players do that know no chapter tracks: starts in 100 ns, titles of up to 255 bytes."""
    at = data.index(b"chpl") + 12  # version and flags, and four bytes of no use
    count, found = data[at], list[tuple[float, str]]()
    at += 1
    for _ in range(count):
        start, length = struct.unpack_from(">QB", data, at)
        found.append((start / 1e7, data[at + 9 : at + 9 + length].decode()))
        at += 9 + length
    return found


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
def test_each_chapter_begins_where_the_index_says(rate: int) -> None:
    sounds = [marked_chapter(seconds, rate, seed=n) for n, seconds in enumerate([1.7, 2.2, 0.9])]
    sounds.append(Waveform(sounds[0].samples[:-123], rate))
    done = [encoded(sound, format="m4b") for sound in sounds]
    data = book([audio for audio, _ in done], titles=[*TITLES, "Again"])
    heard = decode(data)

    starts = [start for start, _, _ in chapters(data)]

    assert [title for _, _, title in chapters(data)] == [*TITLES, "Again"]
    assert starts == pytest.approx(chapter_starts([one.slot for _, one in done]), abs=1e-6)
    assert [start for start, _ in nero_chapters(data)] == pytest.approx(starts, abs=1e-6)
    assert [title for _, title in nero_chapters(data)] == [*TITLES, "Again"]
    for start in starts:
        assert begins(heard.samples, rate, start) == pytest.approx(start, abs=0.001)
    assert len(heard.samples) == sum(one.slot_samples for _, one in done) - 1024


def test_a_chapter_sounds_in_the_book_as_it_does_alone() -> None:
    sounds = [speech(2, seed=n) for n in range(3)]
    done = [encoded(sound, format="m4b") for sound in sounds]
    heard = decode(book([audio for audio, _ in done])).samples

    for sound, start in zip(sounds, chapter_starts([one.slot for _, one in done]), strict=True):
        first = round(start * sound.sample_rate)
        part = heard[first : first + len(sound.samples)]
        assert np.corrcoef(part, sound.samples)[0, 1] > 0.99


def test_there_is_no_click_between_two_chapters_nor_in_them() -> None:
    done = [encoded(speech(2, seed=n, level=0.4), format="m4b", loudness="podcast-16") for n in range(3)]

    heard = decode(book([audio for audio, _ in done]))

    assert clicks(heard.samples, heard.sample_rate) == []


def test_the_silence_that_the_codec_puts_in_between_is_less_than_two_frames() -> None:
    done = [encoded(speech(1, seed=n), format="m4b")[1] for n in range(3)]

    for one in done:
        assert 1024 <= one.slot_samples - one.seconds * one.sample_rate < 2048


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png"])
def test_another_reader_finds_tags_and_cover(kind: str) -> None:
    cover = Cover(picture(kind), kind)
    data = book([encoded(speech(1), format="m4b")[0]] * 3, cover=cover)

    found = TinyTag.get(file_obj=io.BytesIO(data), image=True, filename="book.m4b")

    assert (found.title, found.album, found.artist) == ("三国 & Friends", "三国 & Friends", "A. Uthor")
    assert (found.composer, found.year, found.genre) == ("en-slt", "2026", "Audiobook")
    assert found.comment == "What it is about."
    assert found.images.front_cover
    assert found.images.front_cover.data == cover.data


def test_it_is_an_m4b_whose_index_comes_first() -> None:
    data = book([encoded(speech(1), format="m4b")[0]] * 3)

    assert data[4:12] == b"ftypM4B "
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"Lavf" not in data


def test_the_same_chapters_give_the_same_bytes() -> None:
    audio = [encoded(speech(1, seed=n), format="m4b")[0] for n in range(3)]

    assert book(audio, cover=COVER) == book(audio, cover=COVER)


def test_nothing_is_encoded_again() -> None:
    audio = [encoded(speech(1, seed=n), format="m4b")[0] for n in range(3)]

    assert packets(book(audio)) == [packet for one in audio for packet in packets(one)]


def packets(data: bytes) -> list[bytes]:
    with av.open(io.BytesIO(data), "r") as container:
        return [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]


@pytest.mark.parametrize("count", [1, 300])
def test_a_book_of_one_chapter_or_of_hundreds(count: int) -> None:
    titles = [f"{number} " + "长" * 200 for number in range(count)]
    audio, done = encoded(speech(0.4), format="m4b")

    found = chapters(book([audio] * count, titles=titles))

    assert [title for _, _, title in found] == titles
    assert [start for start, _, _ in found] == pytest.approx(chapter_starts([done.slot] * count), abs=1e-6)


def test_a_title_is_not_cut_at_what_can_not_be_stored() -> None:
    data = book([encoded(speech(1), format="m4b")[0]] * 2, titles=["One\0 and\ud800 all", ""])

    assert [title for _, title in nero_chapters(data)] == ["One and all", ""]


def test_chapters_of_two_rates_are_refused() -> None:
    audio = [encoded(speech(1, rate), format="m4b")[0] for rate in (24_000, 16_000)]

    with pytest.raises(UnlikeChapters, match="chapter 2"):
        book(audio, titles=["a", "b"])


def test_a_cover_that_is_no_picture_is_refused() -> None:
    with pytest.raises(UnusableCover):
        book([encoded(speech(1), format="m4b")[0]] * 3, cover=Cover(b"nothing", "image/png"))


def test_a_book_without_chapters_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one chapter"):
        assemble([], io.BytesIO(), format="m4b", metadata=METADATA)


ASSEMBLE = """
import re
import sys
from functools import partial
from pathlib import Path
from books.editions import ChapterFile, assemble
chapter, target, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
chapters = [ChapterFile(f"Chapter {number}", partial(chapter.open, "rb")) for number in range(count)]
with target.open("wb") as file:
    assemble(chapters, file, format="m4b", metadata={"title": "Long"})
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""  # ru_maxrss has the memory of whoever started it in it


def test_ten_hours_are_put_together_within_200_mb(tmp_path: Path) -> None:
    audio, done = encoded(speech(60), format="m4b")
    (tmp_path / "chapter.m4a").write_bytes(audio)
    count = round(36_000 / done.seconds)
    command = [sys.executable, "-c", ASSEMBLE, str(tmp_path / "chapter.m4a"), str(tmp_path / "book.m4b"), str(count)]

    child = subprocess.run(command, check=True, capture_output=True, text=True)

    assert (tmp_path / "book.m4b").stat().st_size > 0.9 * count * len(audio)
    assert 20 < int(child.stdout) / 1024 < 200
