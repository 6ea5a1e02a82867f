"""HTML in, chapters out."""

import re

from books.errors import NoText
from books.manuscript import Manuscript
from books.reading.blocks import Draft, by_headings, without_bare
from books.reading.drafting import manuscript
from books.reading.encoding import decode
from books.reading.flow import Source, read_flow
from books.reading.markup import Element, attribute, first, named, parse_html, text_content
from books.reading.options import Limits, ReadingOptions

_CHARSET = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_:-]{2,40})""", re.IGNORECASE)
_META = {"author": "author", "dc.creator": "author", "description": "description", "dc.publisher": "publisher"}


def read_html(data: bytes, options: ReadingOptions, limits: Limits) -> Manuscript:
    text, encoding = decode_markup(data)
    notes = [f"encoding: {encoding} (detected)"] if encoding else []
    return read_page(text, Source(options), notes, limits)


def read_page(
    text: str, source: Source, notes: list[str], limits: Limits, metadata: dict[str, str] | None = None
) -> Manuscript:
    """Return the manuscript of one page, cut into chapters at its headings."""
    root = parse_html(text)
    if root is None:
        raise NoText("the file has no text to speak")
    source.resolve = Anchors(root)
    flow = read_flow(root, source)
    draft = Draft(limits)
    metadata = _metadata(root) | (metadata or {})
    first_title = metadata.get("title", "")
    draft.add_all(flow.blocks, without_bare(flow.blocks, by_headings(flow.blocks)), before=first_title)
    return manuscript(draft.chapters(), metadata, notes + source.left_out.notes(), limits=limits)


def decode_markup(data: bytes) -> tuple[str, str]:
    """Return the text of HTML and its encoding, empty if that is UTF-8 or what the page declares."""
    declared = _CHARSET.search(data[:4096])
    return decode(data, declared[1].decode() if declared else "")


class Anchors:
    """The elements of a page by the links to them."""

    def __init__(self, root: Element, document: str = "") -> None:
        self._document = document
        self._elements = {
            str(id_): each for each in root.iter() for id_ in (attribute(each, "id"), each.get("name")) if id_
        }

    def __call__(self, link: str) -> tuple[str, Element] | None:
        fragment = link.partition("#")[2]
        element = self._elements.get(fragment)
        return None if element is None else (f"{self._document}#{fragment}", element)


def _metadata(root: Element) -> dict[str, str]:
    title = first(root, "title")
    found = {"title": "" if title is None else text_content(title), "language": attribute(root, "lang")}
    for meta in named(root, "meta"):
        key = _META.get(attribute(meta, "name").lower())
        if key:
            found.setdefault(key, attribute(meta, "content"))
    return {key: value for key, value in found.items() if value.strip()}
