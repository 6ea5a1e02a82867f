"""`emotivoice book`: an EPUB in two languages becomes an M4B, by every part of the product."""

import random
import re
import signal
import zipfile
from pathlib import Path
from typing import Any

import av
import pytest
from tinytag import TinyTag

from audio.encoding import decode
from tests.books.making import make_epub
from tests.e2e.conftest import Product
from tests.pictures import picture
from tests.waiting import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SECONDS = 150.0  # for a book
COVER = picture("image/jpeg")
TITLES = [f"Chapter {number}" if number % 2 else f"第{number}章" for number in range(1, 13)]


@pytest.fixture
def epub(tmp_path: Path) -> Path:
    return write(tmp_path / "novel.epub", of=tmp_path)


def write(path: Path, *, of: Path, first: str = "It begins.") -> Path:
    """Write a book of twelve chapters that no other test has had spoken."""
    numbers = random.Random(str(of))
    chapters = [(title, [_paragraph(title, numbers.randrange(1000, 9999))]) for title in TITLES]
    chapters[0][1].append(first)
    make_epub(path, title="Two Languages 两种语言", author="A. Writer", language="en", chapters=chapters, cover=COVER)
    return path


def _paragraph(title: str, number: int) -> str:
    if title.startswith("Chapter"):
        return f"It was a bright cold day in {number}. “Where are you?” said Anna."
    return f"今天天气真好，{number}。“你在哪里？”安娜问。"


def chapters_of(path: Path) -> list[str]:
    with av.open(str(path)) as book:
        return [chapter["metadata"]["title"] for chapter in book.chapters()]


def shown(product: Product, printed: str) -> dict[str, Any]:
    """Return the book that the command has named last, as the gateway shows it."""
    book_id = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", printed)[-1]
    return product.api.http.get(f"/v1/books/{book_id}").json()


def newest(product: Product) -> dict[str, Any]:
    [book] = product.api.http.get("/v1/books?limit=1").json()["books"]
    return product.api.http.get(f"/v1/books/{book['id']}").json()


def spoken(book: dict[str, Any]) -> list[str]:
    return [one["id"] for one in book["chapters"] if one["state"] == "succeeded"]


def test_a_book_in_two_languages_becomes_an_m4b(product: Product, epub: Path, tmp_path: Path) -> None:
    output, subtitles = tmp_path / "novel.m4b", tmp_path / "novel.srt"

    command = ("book", epub, "-o", output, "-o", subtitles, "--dialogue-voice", "zh-female-1")
    printed = product.done(*command, seconds=SECONDS)

    tags = TinyTag.get(output, image=True)
    assert (tags.title, tags.artist, tags.genre) == ("Two Languages 两种语言", "A. Writer", "Audiobook")
    assert tags.images.front_cover
    assert tags.images.front_cover.data == COVER
    assert chapters_of(output) == TITLES
    assert decode(output.read_bytes()).seconds == pytest.approx(tags.duration, abs=0.1)
    assert "今天天气真好" in subtitles.read_text("utf-8")
    assert f"wrote {output}" in printed
    assert all(title in printed for title in TITLES)
    report = product.api.http.get(f"/v1/books/{shown(product, printed)['id']}/report").json()
    assert [one["title"] for one in report["chapters"]] == TITLES
    measured = [one["chapters"][0]["measured"] for one in report["editions"] if one["format"] == "m4b"]
    assert [one["lufs"] for one in measured] == [pytest.approx(-19, abs=1)]


def test_some_chapters_as_a_zip_of_mp3_files(product: Product, epub: Path, tmp_path: Path) -> None:
    plan = product.done("book", epub, "--plan", "--chapters", "2,11-12")
    product.done("book", epub, "-o", tmp_path / "novel.mp3.zip", "--title", "Three", seconds=SECONDS)

    assert plan.count("left out") == 9
    with zipfile.ZipFile(tmp_path / "novel.mp3.zip") as archive:
        assert len([name for name in archive.namelist() if name.endswith(".mp3")]) == 3


def test_ctrl_c_pauses_and_the_same_command_goes_on(product: Product, epub: Path, tmp_path: Path) -> None:
    command = ("book", epub, "-o", tmp_path / "novel.m4b")
    before = newest(product)["id"]
    with product.begun(*command) as process:
        wait_for(lambda: newest(product)["id"] != before and spoken(newest(product)), seconds=SECONDS)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1].decode()
    paused = newest(product)

    ended = product.run(*command, seconds=SECONDS)

    assert (process.returncode, paused["state"]) == (130, "paused"), said
    assert f"emotivoice books resume {paused['id']}" in said
    assert 0 < len(spoken(paused)) < 12
    assert ended.returncode == 0, ended.stderr.decode()
    assert f"going on with book {paused['id']}" in ended.stderr.decode()
    assert chapters_of(tmp_path / "novel.m4b") == TITLES


def test_of_an_edited_file_only_what_differs_is_spoken(product: Product, epub: Path, tmp_path: Path) -> None:
    first = shown(product, product.done("book", epub, "-o", tmp_path / "a.m4b", seconds=SECONDS))
    edited = write(tmp_path / "edited.epub", of=tmp_path, first="It begins otherwise.")

    second = shown(product, product.done("book", edited, "-o", tmp_path / "b.m4b", seconds=SECONDS))

    assert second["id"] != first["id"]
    assert 0 < second["cost"]["engine_seconds"] < first["cost"]["engine_seconds"] / 5
