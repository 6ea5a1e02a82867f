"""Markdown in, chapters out. It is made HTML first, so that there is one way to read structure."""

import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from books.errors import BookTooLarge
from books.manuscript import Manuscript
from books.reading.encoding import decode
from books.reading.flow import Source
from books.reading.html import read_page
from books.reading.options import Limits, ReadingOptions

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_FIELD = re.compile(
    r"^(title|author|language|lang|publisher|date|description)\s*:\s*(.+)$", re.IGNORECASE | re.MULTILINE
)
_NOTE = re.compile(r"^\[\^([^\]\s]{1,60})\]:[ \t]*(.*(?:\n(?:[ \t]+\S.*|[ \t]*(?=\n[ \t]+\S)))*)", re.MULTILINE)
_REFERENCE = re.compile(r"\[\^([^\]\s]{1,60})\]")
_NAMES = {"lang": "language", "date": "year"}


def read_markdown(data: bytes, options: ReadingOptions, limits: Limits) -> Manuscript:
    text, encoding = decode(data)
    if len(text) > limits.characters:
        raise BookTooLarge(f"the text has {len(text)} characters; a book may have {limits.characters}")
    notes = [f"encoding: {encoding} (detected)"] if encoding else []
    source = Source(options, phonemes=True)
    front = _FRONT_MATTER.match(text)
    body = text[front.end() :] if front else text
    html = _parser().render(_with_footnotes(body, source))
    return read_page(html, source, notes, limits, _fields(front[1]) if front else {})


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("text_join")
    parser.normalizeLink = lambda url: url  # phonemes are no address: nothing in them is to be quoted
    parser.add_render_rule("text_special", _escaped)
    return parser


def _escaped(_: RendererHTML, tokens: Sequence[Token], index: int, __: OptionsDict, ___: Any) -> str:
    """A bracket that the author escaped stays escaped: it opens no mark."""
    token = tokens[index]
    text = token.markup if token.content == "[" else token.content
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _with_footnotes(text: str, source: Source) -> str:
    """Return the text with footnotes where they are referred to, or without them."""
    found = {match[1]: match[2] for match in _NOTE.finditer(text)}
    if not found:
        return text
    without = _NOTE.sub("", text)
    if source.options.footnotes:
        return _REFERENCE.sub(lambda match: f" ({found[match[1]].strip()})" if match[1] in found else match[0], without)
    source.left_out["footnotes"] += len(found)
    return _REFERENCE.sub(lambda match: "" if match[1] in found else match[0], without)


def _fields(front: str) -> dict[str, str]:
    """Return what the YAML at the top says, as far as it is plain `name: value`."""
    pairs = ((match[1].lower(), match[2].strip().strip("\"'")) for match in _FIELD.finditer(front))
    return {_NAMES.get(key, key): value for key, value in pairs}
