"""`emotivoice books`: look after the books that were sent."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli import tables
from cli.connection import DEFAULT_URL, AsJson, Token, Url, connected

if TYPE_CHECKING:
    from cli.book_client import BookCalls

app = typer.Typer(
    help="List books, and pause, go on with, cancel or delete them. `emotivoice book` makes them.",
    epilog=(
        "\b\nExamples:\n"
        "  emotivoice books list\n"
        "  emotivoice books show 0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f\n"
        "  emotivoice books resume 0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f"
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)

BookId = Annotated[str, typer.Argument(metavar="ID", help="The book's id, as `list` shows it.")]


@app.command("list")
def list_books(
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """List books, the newest first."""
    with _calls(url, token) as calls:
        found = list(calls.books(limit=limit))
    if as_json:
        tables.show_json(found)
    elif found:
        tables.show_books(found)
    else:
        typer.echo("there are no books")


@app.command()
def show(book_id: BookId, as_json: AsJson = False, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Show a book: its chapters, how far it is, its editions."""
    with _calls(url, token) as calls:
        book = calls.book(book_id)
    (tables.show_json if as_json else tables.show_book)(book)


@app.command()
def pause(book_id: BookId, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Stop the work on a book for now; what is spoken stays."""
    _act(book_id, "pause", url, token)


@app.command()
def resume(book_id: BookId, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Go on with a book; what is spoken is not spoken again."""
    _act(book_id, "resume", url, token)


@app.command()
def retry(book_id: BookId, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Try again what failed of a book, and nothing else."""
    _act(book_id, "retry", url, token)


@app.command()
def cancel(book_id: BookId, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Stop the work on a book for good."""
    _act(book_id, "cancel", url, token)


@app.command()
def delete(book_id: BookId, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Delete a book with its file, its texts and its audio."""
    with _calls(url, token) as calls:
        calls.delete(book_id)
    typer.echo(f"deleted book {book_id}")


def _act(book_id: str, what: str, url: str, token: str) -> None:
    with _calls(url, token) as calls:
        book = calls.act(book_id, what)
    typer.echo(f"book {book_id} is {book['state']}")


@contextmanager
def _calls(url: str, token: str) -> "Generator[BookCalls]":
    """Within the context there is a connection to the gateway; its client is loaded only now."""
    from cli.book_client import BookCalls

    with connected(url, token) as client:
        yield BookCalls(client)
