"""A manuscript, or why there is none, as JSON lines from one process to another: a header, then a chapter a line."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from books.errors import KINDS, UnreadableBook
from books.manuscript import COVER_TYPES, Manuscript, ReadChapter

_BY_CODE = {kind.code: kind for kind in KINDS}


def write_manuscript(path: Path, manuscript: Manuscript) -> None:
    header = {
        "metadata": manuscript.metadata,
        "cover": base64.b64encode(manuscript.cover).decode(),
        "cover_type": manuscript.cover_type,
        "notes": manuscript.notes,
    }
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(header, ensure_ascii=False) + "\n")
        for chapter in manuscript.chapters:
            file.write(json.dumps([chapter.title, chapter.text], ensure_ascii=False) + "\n")


def write_error(path: Path, error: UnreadableBook) -> None:
    path.write_text(json.dumps({"error": error.code, "reason": str(error)}, ensure_ascii=False), encoding="utf-8")


def read_result(path: Path) -> Manuscript:
    """Return the manuscript that was written.

    Raises:
        UnreadableBook: that was written instead, of the kind that was raised.
        ValueError: what was written is neither.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        header = json.loads(file.readline())
        if not isinstance(header, dict):
            raise ValueError("no header")
        fields = cast("dict[str, Any]", header)
        if "error" in fields:
            raise _BY_CODE.get(str(fields["error"]), UnreadableBook)(str(fields.get("reason")))
        return _manuscript(fields, tuple(_chapters(file)))


def _manuscript(header: dict[str, Any], chapters: tuple[ReadChapter, ...]) -> Manuscript:
    cover_type = header["cover_type"]
    if cover_type not in (*COVER_TYPES, ""):
        raise ValueError("no cover type")
    return Manuscript(
        metadata={str(name): str(value) for name, value in header["metadata"].items()},
        chapters=chapters,
        cover=base64.b64decode(header["cover"]),
        cover_type=cover_type,
        notes=tuple(str(note) for note in header["notes"]),
    )


def _chapters(lines: Iterator[str]) -> Iterator[ReadChapter]:
    for line in lines:
        title, text = json.loads(line)
        yield ReadChapter(str(title), str(text))
