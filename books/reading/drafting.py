"""From what a format's reader found to a manuscript: what all formats have in common."""

from books import marked
from books.manuscript import Manuscript, ReadChapter
from books.reading.language import language_of
from books.reading.options import Limits

_NOTHING = ("", "unknown", "untitled", "und")
_LONGEST = 5_000  # characters of a description


def manuscript(
    chapters: tuple[ReadChapter, ...],
    metadata: dict[str, str],
    notes: list[str],
    *,
    limits: Limits,
    cover: bytes = b"",
) -> Manuscript:
    """Return a manuscript with what can be told of its language, and its cover if that is of use."""
    plain = {key: marked.plain(value)[:_LONGEST] for key, value in metadata.items()}
    known = {key: value for key, value in plain.items() if value.lower() not in _NOTHING}
    if "language" not in known:
        notes = [*notes, _find_language(known, chapters)]
    cover_type = image_type(cover)
    if cover and len(cover) > limits.cover_bytes:
        notes = [*notes, f"the cover was left out: it has {len(cover)} bytes; {limits.cover_bytes} are allowed"]
        cover = b""
    elif cover and not cover_type:
        notes = [*notes, "the cover was left out: it is neither JPEG nor PNG"]
        cover = b""
    return Manuscript(known, chapters, cover, cover_type if cover else "", tuple(notes))


def image_type(data: bytes) -> str:
    """Return what the first bytes say an image is, or nothing."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "image/png" if data.startswith(b"\x89PNG\r\n\x1a\n") else ""


def _find_language(known: dict[str, str], chapters: tuple[ReadChapter, ...]) -> str:
    longest = max(chapters, key=lambda chapter: len(chapter.text))
    found = language_of(longest.text)
    if not found:
        return "the language is not known"
    known["language"] = found
    return f"language: {found} (detected)"
