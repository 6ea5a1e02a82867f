"""`emotivoice wyoming`: a voice for Home Assistant."""

import warnings
from importlib.util import find_spec
from typing import Annotated

import typer

EPILOG = (
    "\b\nExamples:\n"
    "  emotivoice wyoming\n"
    "  emotivoice wyoming --uri tcp://0.0.0.0:10200 --url http://gateway:8080\n\n"
    "In Home Assistant: Settings, Devices & services, Add integration, Wyoming Protocol; this machine's name and the "
    "port. Needs the package wyoming: the extra `wyoming` of emotivoice-fleet.\n\n"
    "\bExit codes: 0 stopped by SIGTERM, 1 it can't start, 2 wrong usage, 130 Ctrl-C."
)


def wyoming(
    uri: Annotated[
        str,
        typer.Option(help="Where to listen: tcp://HOST:PORT or unix://PATH. The protocol has no passwords."),
    ] = "tcp://127.0.0.1:10200",
    url: Annotated[str, typer.Option(envvar="EMOTIVOICE_URL", help="The gateway.")] = "http://127.0.0.1:8080",
    token: Annotated[
        str, typer.Option(envvar="EMOTIVOICE_TOKEN", help="A token or an API key for it.", show_default=False)
    ] = "",
) -> None:
    """Serve the voices by the Wyoming protocol, as Home Assistant speaks it."""
    if find_spec("wyoming") is None:
        typer.echo("error: the package wyoming is missing; install it with: pip install 'wyoming>=1.10,<2'", err=True)
        raise typer.Exit(1)
    import asyncio

    warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning)  # which wyoming imports
    from cli.wyoming_server import serve

    typer.echo(f"serving the voices of {url} at {uri}; Ctrl-C stops it", err=True)
    try:
        asyncio.run(serve(uri, url, token))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except (OSError, ValueError) as error:
        typer.echo(f"error: can't listen at {uri}: {error}", err=True)
        raise typer.Exit(1) from error
