"""From a file to an audiobook: send it or find it, show the plan, render, wait, fetch."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from cli import tables
from cli.book_client import BookCalls
from cli.book_options import numbers
from cli.book_progress import book_progress
from cli.client import Client
from cli.connection import INTERRUPTED
from cli.errors import ClientError
from cli.speaking import destination

Json = dict[str, Any]

BOOKS_LOOKED_AT = 100  # to find the one of this file, the newest first


@dataclass(frozen=True)
class Wish:
    """What the command was told."""

    file: Path
    outputs: dict[str, str]  # files by format
    voicing: Json  # as the API names it; only what was said
    reading: Json
    chapters: str | None
    cover: Path | None
    loudness: str | None
    plan_only: bool


def make(client: Client, wish: Wish) -> None:
    """Do it all, or say why not."""
    calls = BookCalls(client)
    book = _read(calls, _found(calls, wish) or _sent(calls, wish))
    book = _changed(calls, book, wish)
    tables.show_book(book)
    if wish.plan_only:
        return
    book = calls.render(book["id"], [*wish.outputs], wish.loudness)
    finished = _finished(calls, book)
    for edition in finished["editions"]:
        if edition["format"] in wish.outputs:
            _fetch(calls, edition, wish.outputs[edition["format"]])
    typer.echo(f"book {finished['id']}: emotivoice books show {finished['id']}")


def _found(calls: BookCalls, wish: Wish) -> Json | None:
    """Return the newest book that was read from the same bytes in the same way."""
    digest = hashlib.sha256(wish.file.read_bytes()).hexdigest()
    for book in calls.books(limit=BOOKS_LOOKED_AT):
        same = book["source"]["sha256"] == digest and book["reading"] == wish.reading
        if same and (book["state"] != "failed" or book["characters"]):  # else its file was not read
            typer.echo(f"going on with book {book['id']}, which is {book['state']}", err=True)
            return book
    return None


def _sent(calls: BookCalls, wish: Wish) -> Json:
    book = calls.create(wish.file, {**wish.voicing, **wish.reading})
    typer.echo(f"sent {wish.file}: book {book['id']}", err=True)
    return book


def _read(calls: BookCalls, book: Json) -> Json:
    """Return the book once its chapters are known."""
    with book_progress() as show:
        while book["state"] == "reading":
            book = calls.wait(book["id"], show)
    book = calls.book(book["id"])
    if not book["chapters"]:
        raise ClientError(_why(book))
    return book


def _changed(calls: BookCalls, book: Json, wish: Wish) -> Json:
    changes = dict(wish.voicing)
    if wish.chapters is not None:
        changes["chapters"] = _chosen(book, wish.chapters)
    if changes:
        book = calls.change(book["id"], changes)
    if wish.cover:
        book = calls.set_cover(book["id"], wish.cover.read_bytes())
    return book


def _chosen(book: Json, chapters: str) -> list[Json]:
    """Return the changes that include these chapters, by their places, and no others."""
    places = range(1, len(book["chapters"]) + 1)
    wanted = {*places} if chapters == "all" else numbers(chapters)
    if unknown := wanted - {*places}:
        raise ClientError(f"there is no chapter {min(unknown)}; the book has {len(places)}")
    return [
        {"id": chapter["id"], "included": place in wanted}
        for place, chapter in zip(places, book["chapters"], strict=True)
        if chapter["included"] != (place in wanted)
    ]


def _finished(calls: BookCalls, book: Json) -> Json:
    """Return the book once its editions are made; on Ctrl-C pause it."""
    go_on = f"the same command goes on, or: emotivoice books resume {book['id']}"
    try:
        with book_progress() as show:
            book = calls.wait(book["id"], show)
    except KeyboardInterrupt:
        calls.act(book["id"], "pause")
        typer.echo(f"paused; what is spoken stays. To go on: {go_on}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except ClientError as error:
        raise ClientError(
            f"{error}. The book may go on; look again with: emotivoice books show {book['id']}"
        ) from error
    if book["state"] != "succeeded":
        raise ClientError(f"{_why(book)}. {go_on[0].upper()}{go_on[1:]}")
    return book


def _why(book: Json) -> str:
    """Return what became of a book, with every failure."""
    failed = [
        f"chapter {one['id']} ({one['title']}): {one['error']['message']} [{one['error']['code']}]"
        for one in book["chapters"]
        if one["error"]
    ]
    if not failed and book["error"]:
        failed = [f"{book['error']['message']} [{book['error']['code']}]"]
    return "; ".join([f"the book {book['id']} is {book['state']}", *failed])


def _fetch(calls: BookCalls, edition: Json, output: str) -> None:
    try:
        with destination(output) as target:
            written = calls.download(edition, target)
    except KeyboardInterrupt:
        typer.echo("interrupted; the edition is kept: the same command fetches it", err=True)
        raise typer.Exit(INTERRUPTED) from None
    length = f"{tables.clock(edition['seconds'])}, " if edition["seconds"] else ""
    warnings = f" ({edition['warnings']} warnings)" if edition["warnings"] else ""
    typer.echo(f"wrote {output}: {length}{written} bytes{warnings}")
