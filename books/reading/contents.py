"""The table of contents of an EPUB, from its navigation page or its NCX."""

from dataclasses import dataclass

from books.errors import BrokenBook
from books.reading.archive import Archive
from books.reading.markup import Element, attribute, first, local, named, parse_html, parse_xml, semantics, text_content
from books.reading.package import Package, resolve

_DEEPEST = 2  # parts and their chapters, or chapters and their sections


@dataclass(frozen=True)
class Point:
    """A title, and where in the book it is."""

    title: str
    document: str
    fragment: str


def read_contents(archive: Archive, package: Package) -> list[Point]:
    """Return what the table of contents points to, or nothing if the book has none that can be read.

    Points below the second level count only where they are a document of their own.
    """
    for name, read in ((package.nav, _of_nav), (package.ncx, _of_ncx)):
        if name in archive and (points := read(archive.read(name), name.rpartition("/")[0])):
            return points
    return []


def _of_nav(data: bytes, base: str) -> list[Point]:
    root = lenient(data)
    navs = [nav for nav in named(root, "nav") if "toc" in semantics(nav)] if root is not None else []
    if not navs:
        return []
    links = [(link, _depth(link, "ol", navs[0])) for link in named(navs[0], "a")]
    return _points([(text_content(link), attribute(link, "href"), depth) for link, depth in links], base)


def _of_ncx(data: bytes, base: str) -> list[Point]:
    root = lenient(data)
    found: list[tuple[str, str, int]] = []
    for point in named(root, "navpoint") if root is not None else []:
        label, content = first(point, "text"), first(point, "content")
        if label is not None and content is not None:
            found.append((text_content(label), attribute(content, "src"), _depth(point, "navpoint", root) + 1))
    return _points(found, base)


def lenient(data: bytes) -> Element | None:
    """Return the root of a document that should be XML, but often isn't."""
    from books.reading.html import decode_markup

    try:
        return parse_xml(data)
    except BrokenBook:
        return parse_html(decode_markup(data)[0])


def _depth(element: Element, name: str, root: Element | None) -> int:
    """Return how many elements of that name are around an element, up to `root`."""
    depth = 0
    parent = element.getparent()
    while parent is not None and parent is not root:
        depth += local(parent) == name
        parent = parent.getparent()
    return depth


def _points(found: list[tuple[str, str, int]], base: str) -> list[Point]:
    points: dict[tuple[str, str], Point] = {}
    for title, link, depth in found:
        document, fragment = resolve(base, link), link.partition("#")[2]
        if link and (depth <= _DEEPEST or not fragment):
            points.setdefault((document, fragment), Point(title, document, fragment))
    return list(points.values())
