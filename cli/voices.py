"""`emotivoice voices`: list the voices, and look after those of your own."""

from typing import Any

import typer
from typer.core import TyperGroup

from cli import tables, voice_adapter
from cli.connection import DEFAULT_URL, AsJson, Token, Url, connected


class ListsByDefault(TyperGroup):
    """`emotivoice voices` alone, or with options alone, lists."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["list", *args])


app = typer.Typer(
    cls=ListsByDefault,
    help="List the voices, and make voices of your own from clips.",
    epilog="\b\nExamples:\n  emotivoice voices\n  emotivoice voices list --json",
    rich_markup_mode=None,
)


@app.callback()
def voices() -> None:
    """List the voices, and make voices of your own from clips."""


@app.command("list", epilog="\b\nExamples:\n  emotivoice voices\n  emotivoice voices --json")
def list_voices(as_json: AsJson = False, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """List the voices, and those that are missing here and why."""
    with connected(url, token) as client:
        catalogue = client.voices()
    (tables.show_json if as_json else tables.show_voices)(catalogue)


app.command(epilog=voice_adapter.EPILOG)(voice_adapter.fit_adapter)
