"""A clip of somebody's voice on its way to the gateway: whether it may be sent, and how."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import ClientError

if TYPE_CHECKING:
    from cli.client import Client

Consent = Annotated[
    bool, typer.Option("--consent", help="It is your own voice, or the person whose voice it is has agreed in writing.")
]
AGREED = "Is it your own voice, or has the person whose voice it is agreed in writing to this use of it?"


def is_url(clip: str) -> bool:
    return clip.lower().startswith(("http://", "https://"))


def check_clip(clip: str) -> None:
    """Refuse what could not be sent.

    Raises:
        typer.BadParameter: it is a file that is not there, is empty, or can't be read.
    """
    if is_url(clip):
        return
    path = Path(clip)
    if not path.is_file() or not os.access(path, os.R_OK):
        raise typer.BadParameter(f"{clip} is no file that can be read, and no http(s) URL")
    if not path.stat().st_size:
        raise typer.BadParameter(f"{clip} is empty")


def check_like(clip: str | None, voice: str | None) -> None:
    """Refuse a clip beside a voice, and one that could not be sent.

    Raises:
        typer.BadParameter: it is so.
    """
    if clip is None:
        return
    if voice is not None:
        raise typer.BadParameter("--voice names who speaks, and --like brings a clip of it: give one of them")
    check_clip(clip)


def agreed(*, said: bool) -> bool:
    """Whether the person has agreed: as it was said, or else as is answered on the terminal.

    Where nobody can be asked, the gateway decides whether it has to be said.
    """
    if said or not on_terminal():
        return said
    if not typer.confirm(AGREED, err=True):
        raise typer.BadParameter("nothing was sent: a voice may be used only with the agreement of whose it is")
    return True


def on_terminal() -> bool:
    return sys.stdin.isatty()


def brought(client: "Client", clip: str, *, consent: bool) -> dict[str, object]:
    """Return the fields of a job that speaks like the clip; a file is uploaded first."""
    where = {"reference_audio_url": clip} if is_url(clip) else {"reference_upload": upload(client, Path(clip))}
    return {**where, "reference_consent": consent or None}


def upload(client: "Client", path: Path) -> str:
    """Send a file to the object store, by a link of the gateway, and return its key.

    Raises:
        ClientError: it is larger than may be sent, or the store did not take it.
    """
    import httpx

    from cli.client import PATIENCE_SECONDS
    from shared.loopback import is_loopback

    link = client.call("POST", "/v1/uploads").json()
    size = path.stat().st_size
    if size > link["max_bytes"]:
        raise ClientError(f"{path} has {size} bytes; {link['max_bytes']} may be sent")
    try:
        with path.open("rb") as file:  # not by the client: the store takes no token of the gateway
            ours = is_loopback(httpx.URL(link["url"]).host)  # which no proxy can reach
            answer = httpx.put(link["url"], content=file, timeout=PATIENCE_SECONDS, trust_env=not ours)
    except (OSError, httpx.TransportError) as error:
        raise ClientError(f"{path} could not be sent to the object store ({error})") from error
    if not answer.is_success:
        raise ClientError(f"the object store did not take {path}: it answered {answer.status_code}")
    return link["key"]
