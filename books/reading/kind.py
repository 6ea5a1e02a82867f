"""Which kind of file a book is, found by its content."""

import re
import zipfile
from pathlib import Path
from typing import Literal

from books.errors import BrokenBook, EncryptedBook, UnknownKind

Kind = Literal["epub", "docx", "pdf", "html", "markdown", "text"]

READABLE = "EPUB, DOCX, PDF, HTML, Markdown and plain text can be read"
_HEAD = 4096
_STRANGERS = (
    (b"{\\rtf", "RTF"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"ITSF", "a CHM file"),
    (b"ID3", "MP3 audio"),
    (b"OggS", "Ogg audio"),
    (b"RIFF", "audio or video"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"%!PS", "PostScript"),
)
_HTML = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.DOTALL | re.I)
_OTHER_XML = re.compile(rb"\s*<\?xml|\s*<FictionBook", re.IGNORECASE)
_MARKDOWN = re.compile(
    rb"(?m)\A---\s*$|^#{1,6} \S|^```|^\[\^?[^\]\n]+\]: |^={3,}\s*$|\]\(https?://|^[*-] \S.*\n[*-] \S|\*\*\S"
)


def kind_of(path: Path) -> Kind:
    """Return the kind of a book file. Only between Markdown and plain text does its name decide, if it ends in either.

    Raises: UnknownKind, BrokenBook, EncryptedBook.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise BrokenBook("the file is empty")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _kind_of_archive(path)
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise EncryptedBook("the file is an old or a password-protected Office document; save it as DOCX, unprotected")
    if head[60:68] in (b"BOOKMOBI", b"TEXtREAd"):
        raise UnknownKind(f"the file is a Kindle or Mobipocket book; {READABLE}")
    for start, name in _STRANGERS:
        if head.startswith(start):
            raise UnknownKind(f"the file is {name}; {READABLE}")
    return _kind_of_text(head, path.suffix.lower())


def _kind_of_text(head: bytes, suffix: str) -> Kind:
    narrow = head.replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    if _HTML.match(narrow):
        return "html"
    if _OTHER_XML.match(narrow):
        raise UnknownKind(f"the file is XML, but not HTML; {READABLE}")
    if suffix in (".md", ".markdown"):
        return "markdown"
    if suffix == ".txt":
        return "text"
    if suffix in (".html", ".htm", ".xhtml"):
        return "html"
    return "markdown" if len(_MARKDOWN.findall(narrow)) > 1 else "text"


def _kind_of_archive(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = frozenset(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BrokenBook("the ZIP archive that holds the book is damaged or incomplete") from error
    if "META-INF/container.xml" in names:
        return "epub"
    if "word/document.xml" in names:
        return "docx"
    raise UnknownKind(f"the file is a ZIP archive, but neither an EPUB nor a DOCX; {READABLE}")
