"""Chapters as a worker would have spoken them, and the editions that are made of them."""

import io
from collections.abc import Callable, Sequence

import numpy as np

from audio.encoding import encode
from audio.waveform import Samples, Waveform, silence
from books.editions import ChapterFile, ChapterTags, Cover, EncodedChapter, encode_chapter
from tests.pictures import picture
from tests.sounds import speech

METADATA = {
    "title": "三国 & Friends",
    "author": "A. Uthor",
    "narrator": "en-slt",
    "year": "2026",
    "description": "What it is about.",
    "language": "en",
}
COVER = Cover(picture("image/jpeg"), "image/jpeg")
MARK_HERTZ = 1_000


def flac(waveform: Waveform) -> io.BytesIO:
    return io.BytesIO(encode(waveform, format="flac", sample_rate=waveform.sample_rate))


def mark(rate: int) -> Samples:
    """A short tone that begins at once and at full strength: it tells where a chapter begins."""
    count = round(0.03 * rate)
    fade = np.cos(np.linspace(0, np.pi / 2, count))
    return (0.5 * fade * np.sin(2 * np.pi * MARK_HERTZ * np.arange(1, count + 1) / rate)).astype(np.float32)


def marked_chapter(seconds: float, rate: int, seed: int = 0) -> Waveform:
    """A mark, a pause, speech, and a chapter's pause behind it."""
    pause = silence(0.3, rate).samples
    return Waveform(np.concatenate([mark(rate), pause, speech(seconds, rate, seed=seed).samples, pause]), rate)


def encoded(
    waveform: Waveform,
    *,
    format: str,
    number: int = 1,
    count: int = 1,
    loudness: str = "none",
    sample_rate: int = 0,
    cover: Cover | None = None,
) -> tuple[bytes, EncodedChapter]:
    target = io.BytesIO()
    tags = ChapterTags(f"Chapter {number}", number, count, METADATA, cover)
    rate = sample_rate or waveform.sample_rate
    done = encode_chapter(flac(waveform), target, format=format, loudness=loudness, sample_rate=rate, tags=tags)
    return target.getvalue(), done


def as_files(audio: Sequence[bytes], titles: Sequence[str] = ()) -> list[ChapterFile]:
    names = titles or [f"Chapter {number}" for number in range(1, len(audio) + 1)]
    return [ChapterFile(name, opening(data)) for name, data in zip(names, audio, strict=True)]


def opening(data: bytes) -> Callable[[], io.BytesIO]:
    return lambda: io.BytesIO(data)
