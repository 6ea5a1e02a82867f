"""`emotivoice book` and `emotivoice books` against the gateway itself, whose workers are the test."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from cli import main
from gateway.settings import GatewaySettings
from shared.books import Book, Wanted
from shared.jobs import JobState
from tests.cli.serving import served
from tests.gateway.books import read_book, rendered, with_edition
from tests.gateway.conftest import World, world_with

SPOKEN = (JobState.SUCCEEDED, JobState.SUCCEEDED)


@pytest.fixture
def world() -> Iterator[World]:
    with world_with(GatewaySettings()) as world:
        yield world


@pytest.fixture
def url(world: World) -> Iterator[str]:
    app = world.client.app
    assert isinstance(app, FastAPI)
    with served(app) as address:
        yield address


def run(*arguments: str | Path, url: str = "http://127.0.0.1:9") -> Result:
    return CliRunner().invoke(main.app, [*map(str, arguments)], env={"EMOTIVOICE_URL": url, "COLUMNS": "200"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "novel.txt"
    path.write_text("It begins.")
    return path


def done(world: World, job_id: str, step: str, **_: object) -> None:
    """The job that has chapters spoken ends at once; the chapters are as the test made them."""
    world.records.jobs[job_id] = replace(world.records.jobs[job_id], state=JobState.SUCCEEDED)


def of_file(world: World, book: Book) -> Book:
    """Return the book as one that was made of the file."""
    digest = hashlib.sha256(b"It begins.").hexdigest()
    world.books.books[book.id] = replace(book, source_sha256=digest)
    return world.books.books[book.id]


def test_the_plan_is_shown_and_nothing_is_spoken(world: World, url: str, file: Path) -> None:
    book = of_file(world, read_book(world))

    result = run("book", file, "--plan", "--chapters", "2", "--voice", "Buzz", "--speaker", "Anna=hum", url=url)

    assert result.exit_code == 0, result.output
    assert "Chapter 1" in result.stdout
    assert "left out" in result.stdout
    now = world.books.books[book.id]
    assert (now.wanted, [one.id for one in now.included]) == (Wanted.NOTHING, ["2"])
    assert (now.voicing.voice, now.voicing.speakers) == ("buzz", {"Anna": "hum"})


def test_a_finished_book_of_the_same_file_is_only_fetched(world: World, url: str, file: Path, tmp_path: Path) -> None:
    book = of_file(world, with_edition(world, rendered(world, read_book(world), states=SPOKEN)))
    output = tmp_path / "novel.m4b"

    result = run("book", file, "-o", output, url=url)

    assert result.exit_code == 0, result.output
    assert output.read_bytes() == b"an M4B, as it were"
    assert f"wrote {output}: 0:02, 18 bytes (1 warnings)" in result.stdout
    assert f"going on with book {book.id}, which is succeeded" in result.stderr


def test_a_failed_chapter_is_named_with_the_way_to_go_on(
    world: World, url: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = rendered(world, read_book(world), states=(JobState.SUCCEEDED, JobState.FAILED))
    of_file(world, book)
    monkeypatch.setattr(world.queue, "enqueue", partial(done, world))

    result = run("book", file, "-o", tmp_path / "novel.m4b", url=url)

    assert result.exit_code == 1
    assert "chapter 2 (Chapter 2): it could not be spoken [engine_failed]" in result.stderr
    assert f"emotivoice books resume {book.id}" in result.stderr
    assert not (tmp_path / "novel.m4b").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "-o FILE"),
        (["-o", "novel.ogg"], "can't tell the format of novel.ogg"),
        (["-o", "a.m4b", "-o", "b.m4b"], "are the same edition"),
        (["--plan", "--chapters", "3-1"], "not a list such as 1-3,5"),
        (["--plan", "--speaker", "Anna"], "not of the form NAME=VOICE"),
        (["-o", "novel.txt.epub", "--dictionary", "words.txt"], "not of the form word = how it is said"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("# names\nNguyen\n")

    result = run("book", file, *options)

    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_a_dictionary_has_a_line_for_each_word(world: World, url: str, file: Path, tmp_path: Path) -> None:
    book = of_file(world, read_book(world))
    (tmp_path / "words.txt").write_text("\ufeff# names\nNguyen = win\n\n行 = háng\n", "utf-8")

    result = run("book", file, "--plan", "--dictionary", tmp_path / "words.txt", url=url)

    assert result.exit_code == 0, result.output
    assert world.books.books[book.id].voicing.pronunciations == {"Nguyen": "win", "行": "háng"}


def test_a_chapter_that_there_is_not_is_told(world: World, url: str, file: Path) -> None:
    of_file(world, read_book(world))

    result = run("book", file, "--plan", "--chapters", "1,9", url=url)

    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "error: there is no chapter 9; the book has 2")


def test_books_are_listed_paused_gone_on_with_and_deleted(world: World, url: str) -> None:
    book = rendered(world, read_book(world), states=(JobState.SUCCEEDED, JobState.RUNNING))

    assert book.id in run("books", "list", url=url).stdout
    assert run("books", "pause", book.id, url=url).stdout == f"book {book.id} is paused\n"
    assert run("books", "resume", book.id, url=url).stdout == f"book {book.id} is rendering\n"
    assert run("books", "cancel", book.id, url=url).stdout == f"book {book.id} is cancelled\n"
    assert "Chapter 2" in run("books", "show", book.id, url=url).stdout
    assert run("books", "delete", book.id, url=url).exit_code == 0
    assert run("books", "list", url=url).stdout == "there are no books\n"


def test_what_does_not_fit_is_told_as_the_gateway_says_it(world: World, url: str) -> None:
    result = run("books", "pause", read_book(world).id, url=url)

    assert result.exit_code == 1
    assert result.stderr.startswith("error: the book is ready; pausing is possible while it is rendering")
