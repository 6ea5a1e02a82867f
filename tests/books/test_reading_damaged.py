"""Files with random damage: each is read, or refused with a reason."""

import contextlib
import random
import zipfile
from pathlib import Path

import pytest

from books.errors import UnreadableBook
from books.reading import ReadingOptions, read
from tests.books.making import make_epub
from tests.books.test_reading_epub import NOTED, PNG, one
from tests.books.test_reading_text import ALICE, CHINESE, HTML, MARKDOWN

WISHES = (ReadingOptions(), ReadingOptions(footnotes=True, tables=False, image_descriptions=True))
TEXTS = (
    MARKDOWN.encode(),
    HTML.encode("gb18030"),
    b'<?xml version="1.0" encoding="utf-8"?>' + NOTED.encode(),
    ALICE.encode(),
    CHINESE.encode("big5", "ignore"),
    CHINESE.encode("utf-16-le"),
)
PIECES = (b"<", b">", b"<p>", b"</div>", b'"', b"#", b"\0", b"\xff", b"../", b"%00", b"\n\n", b"[^1]", b'id=""')
TRIES = 150


def damaged(data: bytes, source: random.Random) -> bytes:
    result = bytearray(data)
    for _ in range(source.randint(1, 6)):
        at = source.randrange(len(result) + 1)
        match source.randrange(3):
            case 0:
                result[at : at + 1] = source.randbytes(1)
            case 1:
                del result[at : at + source.randint(1, 30)]
            case _:
                result[at:at] = source.choice(PIECES)
    return bytes(result)


@pytest.mark.parametrize("seed", range(3))
def test_damaged_texts_are_read_or_refused(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    for number in range(TRIES):
        path = tmp_path / source.choice(["a.txt", "a.md", "a.html", "a"])
        path.write_bytes(damaged(TEXTS[number % len(TEXTS)], source))

        with contextlib.suppress(UnreadableBook):
            assert read(path, source.choice(WISHES)).chapters


@pytest.mark.parametrize("version", [2, 3])
def test_damaged_parts_of_an_epub_are_read_or_refused(tmp_path: Path, version: int) -> None:
    source = random.Random(version)
    make_epub(
        tmp_path / "a.epub",
        title="T",
        author="A",
        language="en",
        chapters=[("One", ["x"]), ("二", ["文字。"])],
        cover=PNG,
        version=version,
    )
    one(tmp_path, NOTED + '<table><tr><td>a<math alttext="b"/></td></tr></table><svg><title>q</title></svg>')
    whole: list[dict[str, bytes]] = []
    for name in ("a.epub", "one.epub"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            whole.append({entry: archive.read(entry) for entry in archive.namelist()})
    for number in range(TRIES):
        files = dict(whole[number % 2])
        name = source.choice(sorted(files))
        files[name] = damaged(files[name], source)
        with zipfile.ZipFile(tmp_path / "damaged", "w") as archive:
            for entry, data in files.items():
                archive.writestr(entry, data)

        with contextlib.suppress(UnreadableBook):
            assert read(tmp_path / "damaged", source.choice(WISHES)).chapters
