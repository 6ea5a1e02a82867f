"""What comes out of a book: each chapter encoded on its own, and one step that puts the chapters together.

    encoded = encode_chapter(source, target, format="m4b", loudness="podcast", sample_rate=24_000, tags=tags)
    assemble(chapters, target, format="m4b", metadata=metadata, cover=cover)
    starts = chapter_starts([one.slot for one in all_encoded])  # of the chapters within the whole, for subtitles

Chapters may be encoded by any worker, in any order. The same inputs give the same bytes.
"""

from audio.tags import COVER_TYPES, Cover, UnusableCover
from books.editions.assembly import assemble
from books.editions.chapter import ChapterTags, EncodedChapter, chapter_starts, encode_chapter
from books.editions.forms import EDITIONS, ChapterFile, Edition
from books.editions.subtitles import Cue

__all__ = [
    "COVER_TYPES",
    "EDITIONS",
    "ChapterFile",
    "ChapterTags",
    "Cover",
    "Cue",
    "Edition",
    "EncodedChapter",
    "UnusableCover",
    "assemble",
    "chapter_starts",
    "encode_chapter",
]
