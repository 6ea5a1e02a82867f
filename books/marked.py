"""Marked text: the form a chapter's text has between the reading of a book and its speaking.

Paragraphs are parted by one blank line. A paragraph that begins with `#`, `##` or `###` and a space is a heading, and
the paragraph `***` is a scene break. A backslash in front of `#`, `*` or `[` makes them plain text. Marks in square
brackets, such as `[pause: 1.5]`, are the author's and pass through; `[note: lost]` is none, and is made plain text.
"""

import re

SCENE_BREAK = "***"

_WHITE = re.compile(r"\s+")
_INVISIBLE = re.compile("[\u0000-\u0008\u000e-\u001f\u007f\u00ad\u200b\u2060\ufeff\ufffe\uffff]")
_LOOKS_LIKE_A_HEADING = re.compile(r"#{1,3} ")
# What looks like a mark but is none. docs/narration.md has the marks.
_NO_MARK = re.compile(r"(?<!\\)\[(?=\s*(?!(?:voice|emotion|pause|speed)\b)[a-z][a-z_-]*\s*[:：][^\[\]]*\])")
_BRACKET = r"\\["
_HAN = "\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff"
_GAP_IN_HAN = re.compile(f"(?<=[{_HAN}])\n(?=[{_HAN}])")


def plain(text: str) -> str:
    """Return the text on one line: white space normalised, invisible characters gone.

    A line break between two Chinese characters is no space.
    """
    visible = _INVISIBLE.sub("", text)
    return _WHITE.sub(" ", _GAP_IN_HAN.sub("", visible)).strip()


def paragraph(text: str) -> str:
    """Return a paragraph of plain text as marked text."""
    line = _NO_MARK.sub(_BRACKET, plain(text))
    return "\\" + line if line == SCENE_BREAK or _LOOKS_LIKE_A_HEADING.match(line) else line


def heading(text: str, level: int = 1) -> str:
    """Return a heading of any level from 1; those below the third are marked as the third."""
    return f"{'#' * min(max(level, 1), 3)} {_NO_MARK.sub(_BRACKET, plain(text))}"


def joined(paragraphs: list[str]) -> str:
    """Return marked paragraphs as one marked text."""
    return "\n\n".join(paragraphs)
