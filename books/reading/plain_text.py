"""Plain text in, chapters out."""

import re

from books.errors import BookTooLarge
from books.manuscript import Manuscript
from books.reading.blocks import Block, Draft, LeftOut, Start, without_bare
from books.reading.drafting import manuscript
from books.reading.encoding import decode
from books.reading.lines import Paragraphs, paragraphs
from books.reading.options import Limits

_GUTENBERG_START = re.compile(r"(?im)^\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG.*$")
_GUTENBERG_END = re.compile(r"(?im)^\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG.*$")
_HEAD = 5_000  # characters at the start, in which a text says what it is
_FIELDS = {
    "title": re.compile(r"(?im)^[ \t\u3000]*(?:title|书名|書名)[ \t]*[:：][ \t]*(\S.*)$"),
    "author": re.compile(r"(?im)^[ \t\u3000]*(?:author|作者)[ \t]*[:：][ \t]*(\S.*)$"),
}
_TITLE_MARKS = re.compile(r"\A\s*《([^》\n]{1,60})》")
_LANGUAGE = re.compile(r"(?im)^language[ \t]*:[ \t]*(english|chinese)\b")
_CONTENTS = ("contents", "tableofcontents", "目录", "目錄")
_LANGUAGES = {"english": "en", "chinese": "zh"}


def read_plain_text(data: bytes, limits: Limits) -> Manuscript:
    text, encoding = decode(data)
    if len(text) > limits.characters:
        raise BookTooLarge(f"the text has {len(text)} characters; a book may have {limits.characters}")
    notes = [f"encoding: {encoding} (detected)"] if encoding else []
    metadata = _metadata(text[:_HEAD])
    left_out = LeftOut()
    draft = Draft(limits)
    header, body, licence = _parts_of(text)
    draft.add("Project Gutenberg header", _plain_blocks(header))
    add_by_headings(draft, paragraphs(body.splitlines()), left_out, before=metadata.get("title", ""))
    draft.add("Project Gutenberg licence", _plain_blocks(licence))
    if header or licence:
        notes.append(
            "the header and the licence of Project Gutenberg are chapters of their own; exclude them if unwanted"
        )
    return manuscript(draft.chapters(), metadata, notes + left_out.notes(), limits=limits)


def add_by_headings(draft: Draft, found: Paragraphs, left_out: LeftOut, *, before: str) -> None:
    """Add the chapters that the headings in plain text tell."""
    blocks, starts = _without_contents(found, left_out)
    draft.add_all(blocks, without_bare(blocks, starts), before=before)


def _without_contents(found: Paragraphs, left_out: LeftOut) -> tuple[list[Block], list[Start]]:
    """Return the blocks without a table of contents: headings without text that come again with text."""
    with_text = {index for index in found.keys if index + 1 < len(found.blocks) and index + 1 not in found.keys}
    last = {found.keys[index]: index for index in sorted(with_text)}
    listed = {index for index, key in found.keys.items() if index not in with_text and last.get(key, -1) > index}
    listed |= {index for index in found.keys if index + 1 in listed and found.keys[index] in _CONTENTS}
    if listed:
        left_out["lines of the table of contents"] += len(listed)
    blocks: list[Block] = []
    starts: list[Start] = []
    for index, block in enumerate(found.blocks):
        if index in listed:
            continue
        if index in found.keys:
            starts.append(Start(len(blocks), block.text))
        blocks.append(block)
    return blocks, starts


def _parts_of(text: str) -> tuple[str, str, str]:
    """Return what Project Gutenberg wrote before a text, the text, and what it wrote after it."""
    start, end = _GUTENBERG_START.search(text), _GUTENBERG_END.search(text)
    first = start.end() if start else 0
    last = end.start() if end and end.start() > first else len(text)
    return text[:first], text[first:last], text[last:]


def _plain_blocks(text: str) -> list[Block]:
    return [Block("paragraph", block.text) if block.text else block for block in paragraphs(text.splitlines()).blocks]


def _metadata(head: str) -> dict[str, str]:
    found = {name: match[1] for name, pattern in _FIELDS.items() if (match := pattern.search(head))}
    if title := _TITLE_MARKS.search(head):
        found.setdefault("title", title[1])
    if language := _LANGUAGE.search(head):
        found["language"] = _LANGUAGES[language[1].lower()]
    return found
