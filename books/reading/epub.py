"""EPUB 2 and 3 in, chapters out."""

from collections import defaultdict
from functools import lru_cache
from pathlib import Path

from books.errors import BookTooLarge, BrokenBook
from books.manuscript import Manuscript
from books.reading.archive import Archive
from books.reading.blocks import Block, Draft, LeftOut, Start
from books.reading.contents import Point, lenient, read_contents
from books.reading.drafting import manuscript
from books.reading.flow import Flow, Source, read_flow
from books.reading.html import Anchors
from books.reading.markup import Element, first, semantics, text_content
from books.reading.options import Limits, ReadingOptions
from books.reading.package import Package, read_package, resolve


def read_epub(path: Path, options: ReadingOptions, limits: Limits) -> Manuscript:
    archive = Archive(path, limits)
    package = read_package(archive)
    book = _Book(archive, package, options, limits)
    draft = book.read()
    notes = book.notes()
    cover = b""
    if package.cover in archive:
        try:
            cover = archive.read(package.cover, limit=limits.cover_bytes)
        except (BookTooLarge, BrokenBook) as error:
            notes.append(f"the cover was left out: {error}")
    return manuscript(draft.chapters(), package.metadata, notes, limits=limits, cover=cover)


class _Book:
    def __init__(self, archive: Archive, package: Package, options: ReadingOptions, limits: Limits) -> None:
        self._archive = archive
        self._package = package
        self._options = options
        self._left_out = LeftOut({"documents beside the reading order": package.left_out} if package.left_out else {})
        self._notes_read: set[str] = set()
        self._draft = Draft(limits)
        self._anchors = lru_cache(maxsize=2)(self._anchors_of)  # a document's notes are often in one other
        self._missing: list[str] = []

    def read(self) -> Draft:
        """Cut the documents into chapters where the table of contents points to.

        A document without a point belongs to the chapter before it. Without any table each document is a chapter.
        """
        points: dict[str, list[Point]] = defaultdict(list)
        for point in read_contents(self._archive, self._package):
            points[point.document].append(point)
        listed = any(document in points for document in self._package.spine)
        title, gathered = "", list[Block]()
        for document in self._package.spine:
            root = self._root(document)
            if root is None or _is_cover_page(root):
                continue
            flow = read_flow(root, self._source(document))
            starts = _starts(flow, points[document]) if listed else [Start(0, _own_title(root, flow))]
            begins = [start.index for start in starts] + [len(flow.blocks)]
            gathered += flow.blocks[: begins[0]]
            for start, end in zip(starts, begins[1:], strict=True):
                self._draft.add(title or _heading(gathered), gathered)
                title, gathered = start.title, _with_heading(flow.blocks[start.index : end], start.title)
        self._draft.add(title or _heading(gathered), gathered)
        return self._draft

    def notes(self) -> list[str]:
        missing = [f"left out: documents that the book names but doesn't have ({len(self._missing)})"]
        return (missing if self._missing else []) + self._left_out.notes()

    def _root(self, document: str) -> Element | None:
        if document not in self._archive:
            self._missing.append(document)
            return None
        root = lenient(self._archive.read(document))
        return None if root is None else first(root, "body")

    def _source(self, document: str) -> Source:
        folder = document.rpartition("/")[0]

        def follow(link: str) -> tuple[str, Element] | None:
            target = resolve(folder, link) if link.partition("#")[0] else document
            anchors = self._anchors(target)
            return anchors(link) if anchors else None

        return Source(self._options, self._left_out, follow, document, notes_read=self._notes_read)

    def _anchors_of(self, document: str) -> Anchors | None:
        root = self._root(document) if document in self._archive else None
        return None if root is None else Anchors(root, document)


def _starts(flow: Flow, points: list[Point]) -> list[Start]:
    """Return where the chapters of a document start; of two points to one block the first counts."""
    found: dict[int, str] = {}
    for point in points:
        index = flow.anchors.get(point.fragment, 0)
        if index < len(flow.blocks):
            found.setdefault(index, point.title)
    return [Start(index, found[index]) for index in sorted(found)]


def _with_heading(blocks: list[Block], title: str) -> list[Block]:
    """Return the blocks of a chapter; a paragraph at its start that is the title is made a heading."""
    if blocks and blocks[0].kind == "paragraph" and _same(blocks[0].text, title):
        return [Block("heading", blocks[0].text, 1), *blocks[1:]]
    return blocks


def _same(text: str, title: str) -> bool:
    return "".join(text.split()).casefold() == "".join(title.split()).casefold()


def _heading(blocks: list[Block]) -> str:
    return next((block.text for block in blocks if block.kind == "heading"), "")


def _own_title(root: Element, flow: Flow) -> str:
    """Return the title of a document that no table of contents names."""
    page = root.getparent()
    title = first(page, "title") if page is not None else None
    return _heading(flow.blocks) or ("" if title is None else text_content(title).strip())


def _is_cover_page(root: Element) -> bool:
    return "cover" in semantics(root) or any("cover" in semantics(child) for child in root if len(root) == 1)
