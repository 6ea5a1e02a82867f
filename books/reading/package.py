"""The package of an EPUB: which documents it has, in which order, and what is known of it."""

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote

from books.errors import BrokenBook, EncryptedBook
from books.reading.archive import Archive
from books.reading.markup import Element, attribute, first, local, named, parse_xml, text_content

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
# These only keep fonts from being taken out of the book.
_FONTS_ONLY = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_DOCUMENTS = ("application/xhtml+xml", "text/html", "application/xml", "text/x-oeb1-document")
_DUBLIN_CORE = ("title", "creator", "language", "publisher", "date", "description", "identifier", "subject")
_YEAR = re.compile(r"\d{4}")
_TAG = re.compile(r"<[^>]{1,200}>")


@dataclass(frozen=True)
class Item:
    """A file that the manifest names."""

    name: str
    media_type: str
    properties: frozenset[str]


@dataclass(frozen=True)
class Package:
    metadata: dict[str, str]
    spine: tuple[str, ...]
    """The documents in reading order, each once, without the navigation page and the cover page."""
    left_out: int
    """How many documents are not part of the reading order (`linear="no"`)."""
    nav: str = ""
    ncx: str = ""
    cover: str = ""
    """The file of the cover image."""


def read_package(archive: Archive) -> Package:
    """Raises: EncryptedBook, BrokenBook."""
    _refuse_encrypted(archive)
    container = parse_xml(archive.read(_CONTAINER))
    root_file = first(container, "rootfile")
    if root_file is None:
        raise BrokenBook("the EPUB doesn't say where its package document is")
    name = unquote(attribute(root_file, "full-path"))
    package = parse_xml(archive.read(name))
    items = _manifest(package, posixpath.dirname(name))
    metadata = first(package, "metadata")
    cover_page = _guide_cover(package, posixpath.dirname(name))
    nav = next((item.name for item in items.values() if "nav" in item.properties), "")
    spine, left_out = _spine(package, items)
    return Package(
        metadata={} if metadata is None else _metadata(metadata),
        spine=tuple(document for document in spine if document not in (nav, cover_page)),
        left_out=left_out,
        nav=nav,
        ncx=_ncx(package, items),
        cover=_cover(package, items),
    )


def resolve(base: str, link: str) -> str:
    """Return the name in the archive of what a link in a folder points to, without its fragment."""
    return posixpath.normpath(posixpath.join(base, unquote(link.partition("#")[0])))


def _refuse_encrypted(archive: Archive) -> None:
    if _ENCRYPTION not in archive:
        return
    methods = [attribute(each, "Algorithm") for each in named(parse_xml(archive.read(_ENCRYPTION)), "encryptionmethod")]
    if any(method not in _FONTS_ONLY for method in methods):
        raise EncryptedBook("the book is protected by DRM; only books without it can be read")


def _manifest(package: Element, base: str) -> dict[str, Item]:
    return {
        attribute(item, "id"): Item(
            resolve(base, attribute(item, "href")),
            attribute(item, "media-type").lower(),
            frozenset(attribute(item, "properties").split()),
        )
        for item in named(package, "item")
    }


def _spine(package: Element, items: dict[str, Item]) -> tuple[list[str], int]:
    names: dict[str, None] = {}  # a dict keeps the order; a document that is named twice is read once
    left_out = 0
    for reference in named(package, "itemref"):
        item = items.get(attribute(reference, "idref"))
        if item is None or item.media_type not in _DOCUMENTS:
            continue
        if attribute(reference, "linear").lower() == "no":
            left_out += 1
        else:
            names[item.name] = None
    if not names:
        raise BrokenBook("the EPUB names no document in its reading order")
    return list(names), left_out


def _ncx(package: Element, items: dict[str, Item]) -> str:
    spine = first(package, "spine")
    named_one = items.get(attribute(spine, "toc")) if spine is not None else None
    by_type = (item for item in items.values() if item.media_type == "application/x-dtbncx+xml")
    found = named_one or next(by_type, None)
    return found.name if found else ""


def _cover(package: Element, items: dict[str, Item]) -> str:
    for item in items.values():
        if "cover-image" in item.properties:
            return item.name
    for meta in named(package, "meta"):
        item = items.get(attribute(meta, "content"))
        if attribute(meta, "name") == "cover" and item is not None:
            return item.name
    return ""


def _guide_cover(package: Element, base: str) -> str:
    for reference in named(package, "reference"):
        if attribute(reference, "type").lower() == "cover":
            return resolve(base, attribute(reference, "href"))
    return ""


def _metadata(metadata: Element) -> dict[str, str]:
    found: dict[str, list[str]] = {name: [] for name in _DUBLIN_CORE}
    for element in named(metadata, *_DUBLIN_CORE):
        found[local(element)].append(text_content(element).strip())
    values = {name: texts for name, texts in found.items() if any(texts)}
    first_of = {name: next(text for text in texts if text) for name, texts in values.items()}
    year = _YEAR.search(first_of.pop("date", ""))
    authors = ", ".join(text for text in values.get("creator", []) if text)
    first_of.pop("creator", None)
    if "description" in first_of:
        first_of["description"] = _TAG.sub(" ", first_of["description"])
    return first_of | ({"author": authors} if authors else {}) | ({"year": year[0]} if year else {})
