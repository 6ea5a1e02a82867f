"""The running text of an HTML or XHTML document: a tree of elements in, blocks out."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from books.reading import footnotes
from books.reading.blocks import Block, LeftOut, block_of
from books.reading.markup import Element, attribute, first, local, named, semantics, text_content
from books.reading.options import ReadingOptions

Resolve = Callable[[str], tuple[str, Element] | None]
"""What a link points to: its whole address (`document#id`) and the element."""

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCK = re.compile(
    "address|article|aside|blockquote|body|caption|center|dd|details|div|dl|dt|figcaption|figure|footer|form|h[1-6]|"
    "header|hr|li|main|ol|p|pre|section|summary|table|tbody|td|tfoot|th|thead|tr|ul"
)
_SILENT = re.compile(
    "button|datalist|head|input|link|meta|nav|noscript|option|rp|rt|rtc|script|select|style|template|textarea"
)
_MEDIA = frozenset(("audio", "canvas", "embed", "iframe", "object", "video"))
_WHITE = re.compile(r"[ \t\r\n\f]+")
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
# Two line breaks, or one before an indent, part paragraphs in pages that know no <p>.
_PARTING = re.compile(r"\n[ \t]*(?:\n|(?=\u3000))")
_PHONEMES = re.compile(r"/[^/]+/")
_HAN = re.compile(r"[\u3400-\u9fff]")


@dataclass
class Flow:
    """Blocks, and the index of the block where each anchor is."""

    blocks: list[Block] = field(default_factory=list[Block])
    anchors: dict[str, int] = field(default_factory=dict[str, int])


def _nowhere(_: str) -> None:
    return None


@dataclass
class Source:
    """What reading a document needs besides its tree."""

    options: ReadingOptions
    left_out: LeftOut = field(default_factory=LeftOut)
    resolve: Resolve = _nowhere
    document: str = ""
    phonemes: bool = False
    """Keep `[word](/phonemes/)`, which Markdown makes a link of."""
    notes_read: set[str] = field(default_factory=set[str])
    """The addresses of footnotes that have been read where they are referred to."""


def read_flow(root: Element, source: Source) -> Flow:
    """Return the blocks of a document, or of any part of it."""
    walk = _Walk(source)
    walk.through(root)
    return walk.flow


def _inline(element: Element, source: Source) -> str:
    """Return the text of an element on one line, without footnotes."""
    options = replace(source.options, footnotes=False, tables=False)
    flow = read_flow(element, replace(source, options=options, left_out=LeftOut()))
    return " ".join(block.text for block in flow.blocks if block.text)


class _Walk:
    def __init__(self, source: Source) -> None:
        self.flow = Flow()
        self._source = source
        self._buffer: list[str] = []
        self._heading = 0
        self._verbatim = 0
        self._own: dict[str, Callable[[Element], bool]] = {
            "br": self._break_line,
            "hr": self._scene_break,
            "img": self._image,
            "svg": self._image,
            "math": self._formula,
            "table": self._table,
            "pre": self._preformatted,
        }
        self._own |= dict.fromkeys(_MEDIA, self._media)

    def through(self, root: Element) -> None:
        """Walk without recursion: the depth of a tree is its writer's choice."""
        self._mark_anchors(root)
        self._add(root.text)
        stack = [(child, False) for child in reversed(root)]
        while stack:
            element, ended = stack.pop()
            if not ended and self._start(element):
                self._add(element.text)
                stack.append((element, True))
                stack.extend((child, False) for child in reversed(element))
                continue
            if ended:
                self._end(element)
            self._add(element.tail)
        self._flush()

    def _start(self, element: Element) -> bool:
        """Begin an element. Return whether its content is still to be read."""
        name = local(element)
        if not name or _SILENT.fullmatch(name) or _is_hidden(element):
            return False
        if _BLOCK.fullmatch(name):
            self._flush()
        self._mark_anchors(element)
        kinds = semantics(element)
        if footnotes.is_reference(element, kinds):
            return self._reference(element)
        if footnotes.is_footnote(kinds) or footnotes.is_collection(kinds):
            return self._footnotes(element, kinds)
        if name in self._own:
            return self._own[name](element)
        if name in _HEADINGS and not self._heading:
            self._heading = _HEADINGS[name]
        if self._has_phonemes(element):
            self._buffer.append("[")
        return "pagebreak" not in kinds

    def _end(self, element: Element) -> None:
        name = local(element)
        self._verbatim -= name == "pre"
        if self._has_phonemes(element):
            self._buffer.append(f"]({attribute(element, 'href')})")
        if name in _HEADINGS:
            level, self._heading = self._heading, 0
            self._flush(level)
        elif _BLOCK.fullmatch(name):
            self._flush()

    def _add(self, text: str | None) -> None:
        if text:
            self._buffer.append(str(text) if self._verbatim else _WHITE.sub(" ", text))

    def _flush(self, heading: int = 0) -> None:
        """Make blocks of what has been gathered. Within a heading it is gathered on."""
        if self._heading:
            self._buffer.append(" ")
            return
        text = "".join(self._buffer)
        self._buffer.clear()
        for part in [text] if heading else _PARTING.split(text):
            block = block_of(part)
            if block is not None and block.text and heading:
                block = Block("heading", block.text, heading)
            if block is not None:
                self.flow.blocks.append(block)

    def _mark_anchors(self, element: Element) -> None:
        for anchor in (attribute(element, "id"), element.get("name")):
            if anchor:
                self.flow.anchors.setdefault(anchor, len(self.flow.blocks))

    def _has_phonemes(self, element: Element) -> bool:
        link = attribute(element, "href") if self._source.phonemes and local(element) == "a" else ""
        return _PHONEMES.fullmatch(link) is not None

    def _reference(self, element: Element) -> bool:
        mark = footnotes.mark_of(element)
        found = self._source.resolve(footnotes.link_of(element)) if self._source.options.footnotes else None
        if found is None:
            self._source.left_out["footnote marks"] += 1
            return False
        address, target = found
        self._source.notes_read.add(address)
        self._buffer.append(footnotes.in_brackets(_inline(footnotes.block_around(target), self._source), mark))
        return False

    def _footnotes(self, element: Element, kinds: set[str]) -> bool:
        """Leave out footnotes that are not wanted, or have been read already."""
        notes = named(element, "li", "aside", "p") if footnotes.is_collection(kinds) else [element]
        addresses = {f"{self._source.document}#{attribute(note, 'id')}" for note in notes if attribute(note, "id")}
        if not self._source.options.footnotes:
            self._source.left_out["footnotes"] += max(1, len(addresses))
            return False
        return not (addresses and addresses <= self._source.notes_read)

    def _break_line(self, _: Element) -> bool:
        self._buffer.append("\n")
        return False

    def _scene_break(self, _: Element) -> bool:
        if not self._heading:
            self.flow.blocks.append(Block("break"))
        return False

    def _preformatted(self, element: Element) -> bool:
        if first(element, "code") is not None:
            self._source.left_out["blocks of code"] += 1
            return False
        self._verbatim += 1
        return True

    def _media(self, _: Element) -> bool:
        self._source.left_out["sounds, films and embedded objects"] += 1
        return False

    def _image(self, element: Element) -> bool:
        description = _description(element)
        if len(description) in (1, 2):  # a letter that is drawn is a letter of the text
            self._buffer.append(description)
        elif not description:
            self._source.left_out["images without a description"] += 1
        elif self._source.options.image_descriptions:
            self._buffer.append(f" {description} ")
        else:
            self._source.left_out["images with a description"] += 1
        return False

    def _formula(self, element: Element) -> bool:
        spoken = attribute(element, "alttext")
        if spoken:
            self._buffer.append(f" {spoken} ")
        else:
            self._source.left_out["formulas without alternative text"] += 1
        return False

    def _table(self, element: Element) -> bool:
        if "presentation" in semantics(element) or named(element, *_HEADINGS) or len(named(element, "table")) > 1:
            return True  # it only arranges the page
        if not self._source.options.tables:
            self._source.left_out["tables"] += 1
            return False
        for row in named(element, "caption", "tr"):
            cells = [row] if local(row) == "caption" else [cell for cell in row if local(cell) in ("td", "th")]
            block = block_of(row_of([_inline(cell, self._source) for cell in cells]))
            if block is not None:
                self.flow.blocks.append(block)
        return False


def row_of(cells: list[str]) -> str:
    """Return the cells of a row as one paragraph."""
    filled = [cell for cell in cells if cell]
    return ("，" if _HAN.search("".join(filled)) else ", ").join(filled)


def _is_hidden(element: Element) -> bool:
    return (
        element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or _HIDDEN.search(element.get("style", "")) is not None
    )


def _description(element: Element) -> str:
    """Return what an image shows, as its writer tells."""
    if local(element) == "img":
        return element.get("alt", "").strip()
    title = first(element, "title")
    return element.get("aria-label", "").strip() or ("" if title is None else text_content(title).strip())
