"""The editions of a book: how a chapter is stored, and what the whole is."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class Edition:
    """One edition. Extensions are without a dot."""

    audio_format: str  # of a chapter, one of audio.encoding's
    chapter_extension: str
    chapter_type: str
    extension: str = "zip"  # of the whole
    content_type: str = "application/zip"


EDITIONS = {
    "m4b": Edition("m4a", "m4a", "audio/mp4", "m4b", "audio/mp4"),
    "mp3": Edition("mp3", "mp3", "audio/mpeg"),
    "opus": Edition("opus", "opus", "audio/ogg"),
    "flac": Edition("flac", "flac", "audio/flac"),
    "wav": Edition("wav", "wav", "audio/wav"),
}


@dataclass(frozen=True)
class ChapterFile:
    """A chapter as `encode_chapter` wrote it. It is opened when it is its turn: one is at hand at a time."""

    title: str
    open: Callable[[], AbstractContextManager[BinaryIO]]  # a file that can seek, at its start
