"""Which elements are footnotes and references to them, and how a footnote is read."""

import re

from books.reading.markup import Element, attribute, first, local, text_content

_NOTES = {"footnote", "endnote", "rearnote", "note"}
_COLLECTIONS = {"footnotes", "endnotes", "rearnotes"}
_BLOCKS = {"p", "li", "div", "aside", "dd", "td", "section", "body"}
_BRACKETS = " \t\r\n[]()（）【】〔〕"
_MARK = re.compile(r"\d{1,4}|[*†‡§#]{1,3}|[ivxlc]{1,6}|[a-z]|注\d*|[①-⑳]")
_BACK = " \t\r\n↩↑^\ufe0e\ufe0f"
_HAN = re.compile(r"[\u3400-\u9fff]")


def is_footnote(kinds: set[str]) -> bool:
    return bool(kinds & _NOTES)


def is_collection(kinds: set[str]) -> bool:
    return bool(kinds & _COLLECTIONS)


def is_reference(element: Element, kinds: set[str]) -> bool:
    """Return whether an element says that it refers to a footnote, or is a raised number that links to somewhere."""
    if kinds & {"noteref", "backlink"}:
        return True
    name = local(element)
    if name not in ("a", "sup") or "#" not in link_of(element):
        return False
    raised = name == "sup" or first(element, "sup") is not None
    return raised and _MARK.fullmatch(mark_of(element).lower()) is not None


def link_of(element: Element) -> str:
    """Return where a reference links to, itself or by what is in it."""
    link = element if local(element) == "a" else first(element, "a")
    return "" if link is None else attribute(link, "href")


def mark_of(element: Element) -> str:
    """Return the number or sign of a reference, without brackets."""
    return text_content(element).strip(_BRACKETS)


def block_around(element: Element) -> Element:
    """Return the element that holds the footnote: an anchor is often only at its start."""
    while local(element) not in _BLOCKS and (parent := element.getparent()) is not None:
        element = parent
    return element


def in_brackets(text: str, mark: str) -> str:
    """Return the text of a footnote as it is read within the running text: without its mark and its way back."""
    text = text.strip(_BACK)
    if mark:
        text = re.sub(rf"^[\[(（【]?{re.escape(mark)}[\])）】.:：、]*\s+", "", text)
    if not text:
        return ""
    return f"（{text}）" if _HAN.search(text) else f" ({text})"
