"""An EPUB 3 that is read aloud: text, and audio with a media overlay that tells which sentence is heard when.

EPUB 3.3, chapter 9. Everything is stored: a deflated byte may differ from one zlib to the next.
"""

import re
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape
from typing import BinaryIO

from audio.tags import Cover
from books.editions.archive import entry, store
from books.editions.forms import EDITIONS
from books.editions.subtitles import Cue, columns

_ACTIVE_CLASS = "-epub-media-overlay-active"
_CONTAINER = """<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""
_STYLE = f""".{_ACTIVE_CLASS} {{ background-color: #fde68a; color: #111; }}
"""
_COVER_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png"}
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class SpokenChapter:
    """A chapter with its audio, as `encode_chapter` wrote it for `mp3` or `m4b`.

    The cues of a paragraph are its sentences, with the seconds from the beginning of the chapter's audio. The first
    paragraph is the heading if its text is the title.
    """

    title: str
    paragraphs: Sequence[Sequence[Cue]]
    audio: Callable[[], AbstractContextManager[BinaryIO]]


def write_overlay(
    chapters: Sequence[SpokenChapter],
    target: BinaryIO,
    *,
    format: str,
    metadata: Mapping[str, str],
    cover: Cover | None = None,
) -> None:
    """Write the EPUB. The audio is copied chapter by chapter and never held.

    `metadata` is that of `assemble`, and may have an `identifier` and a date of the last change, `modified`, such as
    2026-11-28T12:00:00Z. Without them, both follow from the book itself: no clock is asked.
    """
    for number, chapter in enumerate(chapters, 1):
        if not any(_cues(chapter)):
            raise ValueError(f"nothing is spoken in chapter {number}: it has no overlay")
    book = _Book(chapters, format, metadata, cover)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(entry("mimetype"), "application/epub+zip")
        archive.writestr(entry("META-INF/container.xml"), _CONTAINER)
        archive.writestr(entry("EPUB/package.opf"), book.package())
        archive.writestr(entry("EPUB/nav.xhtml"), book.navigation())
        archive.writestr(entry("EPUB/style.css"), _STYLE)
        if cover:
            cover.size()
            archive.writestr(entry(f"EPUB/{book.cover_name}"), cover.data)
        for number, chapter in enumerate(chapters, 1):
            archive.writestr(entry(f"EPUB/chapter-{number}.xhtml"), book.text(number))
            archive.writestr(entry(f"EPUB/chapter-{number}.smil"), book.overlay(number))
            with chapter.audio() as source:
                store(archive, f"EPUB/{book.audio_name(number)}", source)


class _Book:
    """The files of the EPUB that are made, not copied."""

    def __init__(
        self, chapters: Sequence[SpokenChapter], format: str, metadata: Mapping[str, str], cover: Cover | None
    ) -> None:
        self._chapters = chapters
        self._edition = EDITIONS[format]
        self._metadata = metadata
        self._cover = cover
        self._language = _text(metadata.get("language") or "und")
        self._title = metadata.get("title") or "Untitled"

    @property
    def cover_name(self) -> str:
        return f"cover.{_COVER_EXTENSIONS[self._cover.content_type]}" if self._cover else ""

    def audio_name(self, number: int) -> str:
        return f"chapter-{number}.{self._edition.chapter_extension}"

    def package(self) -> str:
        numbers = range(1, len(self._chapters) + 1)
        return _xml(
            '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="book" '
            f'xml:lang="{self._language}">',
            '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">',
            *self._about(),
            "</metadata>\n<manifest>",
            '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>',
            '<item id="style" href="style.css" media-type="text/css"/>',
            *self._cover_item(),
            *(line for number in numbers for line in self._items(number)),
            "</manifest>\n<spine>",
            *(f'<itemref idref="text-{number}"/>' for number in numbers),
            "</spine>\n</package>",
        )

    def _about(self) -> Iterator[str]:
        metadata = self._metadata
        yield f'<dc:identifier id="book">{_text(metadata.get("identifier") or self._own_identifier())}</dc:identifier>'
        yield f"<dc:title>{_text(self._title)}</dc:title>"
        yield f"<dc:language>{self._language}</dc:language>"
        for name, key in (("creator", "author"), ("publisher", "publisher"), ("description", "description")):
            if metadata.get(key):
                yield f"<dc:{name}>{_text(metadata[key])}</dc:{name}>"
        yield _meta("dcterms:modified", metadata.get("modified") or "2000-01-01T00:00:00Z")
        for kind in ("textual", "auditory"):
            yield _meta("schema:accessMode", kind)
        yield _meta("schema:accessibilityFeature", "synchronizedAudioText")
        if metadata.get("narrator"):
            yield _meta("media:narrator", metadata["narrator"])
        yield _meta("media:active-class", _ACTIVE_CLASS)
        durations = [_milliseconds(chapter) for chapter in self._chapters]
        yield _meta("media:duration", _seconds(sum(durations)))
        for number, duration in enumerate(durations, 1):
            yield _meta("media:duration", _seconds(duration), refines=f"#overlay-{number}")

    def _own_identifier(self) -> str:
        told = [self._title, *(cue.text for chapter in self._chapters for cue in _cues(chapter))]
        return uuid.uuid5(uuid.NAMESPACE_OID, "\n".join(told)).urn

    def _cover_item(self) -> Iterator[str]:
        if self._cover:
            kind = self._cover.content_type
            yield f'<item id="cover" href="{self.cover_name}" media-type="{kind}" properties="cover-image"/>'

    def _items(self, number: int) -> Iterator[str]:
        yield (
            f'<item id="text-{number}" href="chapter-{number}.xhtml" media-type="application/xhtml+xml" '
            f'media-overlay="overlay-{number}"/>'
        )
        yield f'<item id="overlay-{number}" href="chapter-{number}.smil" media-type="application/smil+xml"/>'
        kind = self._edition.chapter_type
        yield f'<item id="audio-{number}" href="{self.audio_name(number)}" media-type="{kind}"/>'

    def navigation(self) -> str:
        places = (
            f'<li><a href="chapter-{number}.xhtml">{_text(chapter.title)}</a></li>'
            for number, chapter in enumerate(self._chapters, 1)
        )
        return self._page(self._title, '<nav epub:type="toc"><ol>', *places, "</ol></nav>")

    def text(self, number: int) -> str:
        chapter = self._chapters[number - 1]
        return self._page(chapter.title, *_marked_up(chapter))

    def _page(self, title: str, *body: str) -> str:
        return _xml(
            '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" '
            f'xml:lang="{self._language}" lang="{self._language}">',
            f'<head><title>{_text(title)}</title><link rel="stylesheet" href="style.css"/></head>\n<body>',
            *body,
            "</body>\n</html>",
        )

    def overlay(self, number: int) -> str:
        page, audio = f"chapter-{number}.xhtml", self.audio_name(number)
        pairs = (
            f'<par id="par-{place}"><text src="{page}#s{place}"/><audio src="{audio}" '
            f'clipBegin="{_seconds(_start(cue))}" clipEnd="{_seconds(_end(cue))}"/></par>'
            for place, cue in enumerate(_cues(self._chapters[number - 1]), 1)
        )
        return _xml(
            '<smil xmlns="http://www.w3.org/ns/SMIL" xmlns:epub="http://www.idpf.org/2007/ops" version="3.0">',
            f'<body><seq id="chapter" epub:textref="{page}">',
            *pairs,
            "</seq></body>\n</smil>",
        )


def _marked_up(chapter: SpokenChapter) -> Iterator[str]:
    """The chapter's paragraphs, with an id for each sentence."""
    place = 0
    for index, paragraph in enumerate(chapter.paragraphs):
        sentences = ""
        for cue in paragraph:
            place += 1
            sentences += f'<span id="s{place}">{_text(cue.text)}</span>{_space_after(cue.text)}'
        heading = index == 0 and " ".join(cue.text for cue in paragraph).split() == chapter.title.split()
        tag = "h1" if heading else "p"
        if index == 0 and not heading:
            yield f"<h1>{_text(chapter.title)}</h1>"
        yield f"<{tag}>{sentences.rstrip()}</{tag}>"


def _space_after(sentence: str) -> str:
    return "" if columns(sentence[-1:]) == 2 else " "  # none in Chinese


def _cues(chapter: SpokenChapter) -> Iterator[Cue]:
    for paragraph in chapter.paragraphs:
        yield from paragraph


def _milliseconds(chapter: SpokenChapter) -> int:
    """How long the overlay is: the sum of its clips."""
    return sum(_end(cue) - _start(cue) for cue in _cues(chapter))


def _start(cue: Cue) -> int:
    return round(cue.start_seconds * 1000)


def _end(cue: Cue) -> int:
    return max(round(cue.end_seconds * 1000), _start(cue) + 1)  # a clip may not be empty


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}s"


def _meta(name: str, value: str, refines: str = "") -> str:
    about = f' refines="{refines}"' if refines else ""
    return f'<meta property="{name}"{about}>{_text(value)}</meta>'


def _text(text: str) -> str:
    return escape(_NOT_IN_XML.sub("", text))


def _xml(*lines: str) -> str:
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', *lines, ""])
