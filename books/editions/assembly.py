"""Put encoded chapters together: an M4B, or a ZIP of the chapters' files."""

from collections.abc import Mapping, Sequence
from typing import BinaryIO

from audio.tags import Cover
from books.editions.archive import write_archive
from books.editions.forms import EDITIONS, ChapterFile
from books.editions.m4b import write_m4b


def assemble(
    chapters: Sequence[ChapterFile],
    target: BinaryIO,
    *,
    format: str,
    metadata: Mapping[str, str],
    cover: Cover | None = None,
) -> None:
    """Write a whole book from the chapters that `encode_chapter` wrote for the same format and sample rate.

    `metadata` has what is known of: title, author, narrator, year, genre, description, publisher, language, copyright.
    The target has to be a file that can seek. Nothing is encoded again and no chapter is held: of a long book, memory
    has only the index.

    Raises:
        UnusableCover: the cover is no JPEG or PNG picture.
        UnlikeChapters: they differ in sample rate or codec, so that they can't be one M4B.
    """
    if not chapters:
        raise ValueError("a book has at least one chapter")
    if format == "m4b":
        write_m4b(chapters, target, metadata=metadata, cover=cover)
    else:
        write_archive(chapters, target, extension=EDITIONS[format].chapter_extension, cover=cover)
