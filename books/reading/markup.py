"""XML and HTML from strangers, parsed without entities, network, DTDs or huge trees."""

import re
from html.entities import html5
from typing import TypeAlias

from lxml import etree

from books.errors import BrokenBook, UnsafeBook

Element: TypeAlias = etree._Element  # pyright: ignore[reportPrivateUsage]  # lxml has no public name for it

_EPUB_TYPE = ("{http://www.idpf.org/2007/ops}type", "epub:type")
# Pandoc's classes, and those of Duokan, which Chinese EPUBs use.
_CLASSES = {
    "footnote-ref": "noteref",
    "footnotes": "footnotes",
    "duokan-footnote": "noteref",
    "duokan-footnote-content": "footnotes",
    "duokan-footnote-item": "footnote",
}
_NAMED = re.compile(rb"&([A-Za-z][A-Za-z0-9]{1,31});")
_OF_XML = (b"amp", b"lt", b"gt", b"quot", b"apos")


def parse_xml(data: bytes) -> Element:
    """Return the root of an XML document.

    Raises:
        BrokenBook: it is not well-formed, or deeper than 256 elements.
        UnsafeBook: it declares entities of its own, by which a few bytes can become gigabytes, or another file.
    """
    if b"<!ENTITY" in data.replace(b"\0", b""):
        raise UnsafeBook("the book declares XML entities of its own, which are not allowed")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(_NAMED.sub(_numbered, data), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        _raise_if_short_of_memory(error)
        raise BrokenBook("a part of the book is not well-formed XML") from error


def parse_html(text: str) -> Element | None:
    """Return the root of an HTML document, however it is written; None if it is empty.

    Raises:
        BrokenBook: it is deeper than 256 elements, or has a piece above 10 MB. The parser would drop the rest.
    """
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    try:
        root: Element | None = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        _raise_if_short_of_memory(error)
        return None
    if any(entry.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT for entry in parser.error_log):
        raise BrokenBook("an HTML document is nested deeper than the 256 elements allowed, or has a piece above 10 MB")
    return root


def _raise_if_short_of_memory(error: Exception) -> None:
    if isinstance(error, etree.XMLSyntaxError) and error.code == etree.ErrorTypes.ERR_NO_MEMORY:
        raise MemoryError from error


def local(element: Element) -> str:
    """Return the name of an element without its namespace, in lower case; nothing for what is no element."""
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""  # pyright: ignore[reportUnnecessaryIsInstance]  # an entity's tag is a function


def named(element: Element, *names: str) -> list[Element]:
    """Return the descendants that have one of the local names, in order."""
    return [each for each in element.iter() if local(each) in names]


def first(element: Element, name: str) -> Element | None:
    """Return the first descendant of that local name."""
    return next((each for each in element.iter() if local(each) == name), None)


def attribute(element: Element, name: str) -> str:
    """Return an attribute by its local name, or an empty string."""
    found = element.get(name)
    if found is None:
        found = next((value for key, value in element.attrib.items() if str(key).rpartition("}")[2] == name), "")
    return str(found)


def semantics(element: Element) -> set[str]:
    """Return what an element says it is, in the words of `epub:type`: by that, by `role`, or by a class of a tool."""
    types = " ".join(element.get(name, "") for name in (*_EPUB_TYPE, "role"))
    classes = {_CLASSES[word] for word in element.get("class", "").split() if word in _CLASSES}
    return {word.removeprefix("doc-") for word in types.lower().split()} | classes


def text_content(element: Element) -> str:
    """Return all text in an element."""
    return "".join(str(piece) for piece in element.itertext())


def _numbered(match: re.Match[bytes]) -> bytes:
    """Return a named character of HTML as a number, which XML knows without a DTD."""
    character = html5.get(match[1].decode() + ";", "")
    if match[1] in _OF_XML or not character:
        return match[0]
    return b"".join(b"&#%d;" % ord(each) for each in character)
