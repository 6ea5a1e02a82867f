"""A ZIP that is only a folder: audio doesn't get smaller by deflating it."""

import re
import shutil
import unicodedata
import zipfile
from collections.abc import Sequence
from typing import BinaryIO

from audio.tags import Cover
from books.editions.forms import ChapterFile

_NAME_BYTES = 180  # a file system's limit is 255 as a rule; a folder is put in front of it by whoever unpacks
_COVER_NAMES = {"image/jpeg": "cover.jpg", "image/png": "cover.png"}


def write_archive(chapters: Sequence[ChapterFile], target: BinaryIO, *, extension: str, cover: Cover | None) -> None:
    """Write the chapters' files, in order and by name, and the cover."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for number, chapter in enumerate(chapters, 1):
            with chapter.open() as source:
                store(archive, chapter_name(number, len(chapters), chapter.title, extension), source)
        if cover:
            archive.writestr(entry(_COVER_NAMES[cover.content_type]), cover.data)


def chapter_name(number: int, count: int, title: str, extension: str) -> str:
    """Return a name such as `01 - Title.mp3` that every system can store; the number makes it the only one."""
    digits = max(2, len(str(count)))
    return f"{number:0{digits}} - {_safe(title) or 'Chapter'}.{extension}"


def _safe(title: str) -> str:
    text = unicodedata.normalize("NFC", title)
    text = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    text = re.sub(r'[/\\:*?"<>|]', "_", re.sub(" +", " ", text))
    return text.encode()[:_NAME_BYTES].decode(errors="ignore").strip(" .")


def store(archive: zipfile.ZipFile, name: str, source: BinaryIO) -> None:
    """Copy a file that can seek into an archive, without holding it."""
    what = entry(name)
    what.file_size = source.seek(0, 2)  # tells whether its header needs 64 bits
    source.seek(0)
    with archive.open(what, "w") as stored:
        shutil.copyfileobj(source, stored, 1 << 20)


def entry(name: str) -> zipfile.ZipInfo:
    """Return an entry that says nothing of when and where it was made."""
    what = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    what.create_system = 3  # Unix, whatever this is
    what.external_attr = 0o644 << 16
    return what
