"""DOCX in, chapters out."""

import re
from collections.abc import Iterator
from pathlib import Path

from books.errors import BrokenBook
from books.manuscript import Manuscript
from books.reading.archive import Archive
from books.reading.blocks import Block, Draft, LeftOut, block_of, by_headings, without_bare
from books.reading.drafting import manuscript
from books.reading.flow import row_of
from books.reading.footnotes import in_brackets
from books.reading.markup import Element, attribute, first, local, named, parse_xml, text_content
from books.reading.options import Limits, ReadingOptions

DOCUMENT = "word/document.xml"
_CORE = "docProps/core.xml"
_FIELDS = {"title": "title", "creator": "author", "language": "language", "description": "description"}
_HEADING = re.compile(r"heading (\d)")
_PARTS_OF_A_LIST = re.compile(r"toc (?:\d|heading)", re.IGNORECASE)
# Deleted text, the second version of what old programs can't show, the reading above a character, field codes.
_SILENT = ("del", "movefrom", "fallback", "rt", "instrtext", "ppr", "rpr", "tblpr", "trpr", "tcpr", "sectpr")


def read_docx(path: Path, options: ReadingOptions, limits: Limits) -> Manuscript:
    archive = Archive(path, limits)
    document = _Document(archive, options)
    body = first(parse_xml(archive.read(DOCUMENT)), "body")
    if body is None:
        raise BrokenBook("the DOCX file has no body")
    blocks = list(document.blocks(body))
    metadata = _metadata(archive)
    title = metadata.get("title", "")
    draft = Draft(limits)
    draft.add_all(blocks, without_bare(blocks, by_headings(blocks)), before=title)
    return manuscript(draft.chapters(), metadata, document.left_out.notes(), limits=limits)


class _Document:
    def __init__(self, archive: Archive, options: ReadingOptions) -> None:
        self.left_out = LeftOut()
        self._options = options
        self._styles = _styles(archive)
        self._notes = _notes(archive, "footnote") | _notes(archive, "endnote")

    def blocks(self, container: Element) -> Iterator[Block]:
        """Yield the paragraphs and tables of a body in order."""
        for element in container:
            name = local(element)
            if name == "p":
                yield from self._paragraph(element)
            elif name == "tbl":
                yield from self._table(element)
            elif name in ("sdt", "sdtcontent", "ins", "moveto", "smarttag", "customxml"):
                yield from self.blocks(element)  # at most 256 deep, as the parser allows

    def _paragraph(self, element: Element) -> Iterator[Block]:
        style = _style_of(element, self._styles)
        if _PARTS_OF_A_LIST.fullmatch(style):
            self.left_out["lines of the table of contents"] += 1
            return
        block = block_of(self._text(element))
        if block is None:
            return
        level = _level(element, style)
        yield Block("heading", block.text, level) if level and block.text else block

    def _table(self, element: Element) -> Iterator[Block]:
        if not self._options.tables:
            self.left_out["tables"] += 1
            return
        for row in named(element, "tr"):
            cells = [" ".join(self._text(each) for each in named(cell, "p")) for cell in row if local(cell) == "tc"]
            block = block_of(row_of([cell.strip() for cell in cells]))
            if block is not None:
                yield block

    def _text(self, paragraph: Element) -> str:
        pieces: list[str] = []
        stack = list(reversed(paragraph))
        while stack:
            element = stack.pop()
            name = local(element)
            if name in _SILENT:
                continue
            piece = self._piece(element, name)
            if piece is None:
                stack.extend(reversed(element))
            else:
                pieces.append(piece)
        return "".join(pieces)

    def _piece(self, element: Element, name: str) -> str | None:
        """Return what an element of a paragraph says, or None if what is in it does."""
        if name == "t":
            return element.text or ""
        if name in ("tab", "br", "cr"):
            return " "
        if name in ("footnotereference", "endnotereference"):
            return self._note(name.removesuffix("reference") + attribute(element, "id"))
        if name in ("drawing", "pict"):
            return self._picture(element)
        if name in ("omath", "omathpara"):
            self.left_out["formulas"] += 1
            return ""
        return None

    def _note(self, key: str) -> str:
        if self._options.footnotes:
            return in_brackets(self._notes.get(key, ""), "")
        self.left_out["footnotes"] += 1
        return ""

    def _picture(self, element: Element) -> str:
        if first(element, "txbxcontent") is not None:
            self.left_out["text boxes"] += 1
            return ""
        properties = first(element, "docpr")
        description = "" if properties is None else attribute(properties, "descr").strip()
        if description and self._options.image_descriptions:
            return f" {description} "
        self.left_out["images with a description" if description else "images without a description"] += 1
        return ""


def _styles(archive: Archive) -> dict[str, str]:
    """Return the names of the styles by their ids, which programs translate: `1` or `berschrift1` is `heading 1`."""
    if "word/styles.xml" not in archive:
        return {}
    found: dict[str, str] = {}
    for style in named(parse_xml(archive.read("word/styles.xml")), "style"):
        name = first(style, "name")
        level = first(style, "outlinelvl")
        shown = "" if name is None else attribute(name, "val").lower()
        if level is not None and not _HEADING.fullmatch(shown):
            shown = _heading_name(attribute(level, "val")) or shown
        found[attribute(style, "styleId")] = shown
    return found


def _style_of(paragraph: Element, styles: dict[str, str]) -> str:
    style = first(paragraph, "pstyle")
    return "" if style is None else styles.get(attribute(style, "val"), "")


def _level(paragraph: Element, style: str) -> int:
    """Return the level of a heading, or 0 for a paragraph."""
    outline = first(paragraph, "outlinelvl")
    name = (_heading_name(attribute(outline, "val")) if outline is not None else "") or style
    if name == "title":
        return 1
    match = _HEADING.fullmatch(name)
    return int(match[1]) if match else 0


def _heading_name(outline: str) -> str:
    """Return the style that an outline level stands for; 9 is running text."""
    return f"heading {int(outline) + 1}" if outline.isdigit() and int(outline) < 9 else ""


def _notes(archive: Archive, kind: str) -> dict[str, str]:
    name = f"word/{kind}s.xml"
    if name not in archive:
        return {}
    return {
        kind + attribute(note, "id"): " ".join(text_content(each) for each in named(note, "t"))
        for note in named(parse_xml(archive.read(name)), kind)
    }


def _metadata(archive: Archive) -> dict[str, str]:
    if _CORE not in archive:
        return {}
    core = parse_xml(archive.read(_CORE))
    found = {_FIELDS[local(element)]: text_content(element) for element in named(core, *_FIELDS)}
    return {name: text for name, text in found.items() if text.strip()}
