"""The options by which every command reaches the gateway, and the connection itself."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import ClientError

if TYPE_CHECKING:
    from cli.client import Client

DEFAULT_URL = "http://127.0.0.1:8080"
INTERRUPTED = 130  # what a shell reports after Ctrl-C

Url = Annotated[str, typer.Option(envvar="EMOTIVOICE_URL", help="The gateway.")]
Token = Annotated[
    str,
    typer.Option(
        envvar="EMOTIVOICE_TOKEN",
        help="A token or an API key, where the gateway asks for one; better by the variable, which others can't see.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="The gateway's own JSON instead of a table.")]


@contextmanager
def connected(url: str, token: str) -> Generator["Client"]:
    """Yield a client; what it can't do becomes one line on standard error and an exit code."""
    from cli.client import Client

    try:
        with Client(url, token=token) as client:
            yield client
    except ClientError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
