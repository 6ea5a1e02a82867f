"""From a clip to a voice that speaks: wait for it, say what was found of the clip, fetch what it says."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import typer

from cli import tables
from cli.connection import INTERRUPTED
from cli.errors import ClientError
from cli.speaking import destination
from cli.voice_client import VoiceCalls

Json = dict[str, Any]


def finish(calls: VoiceCalls, voice: Json, preview: str | None) -> None:
    """Wait until the voice can be named, show it, and write what it says where that is wished.

    Raises:
        ClientError: its clip will not do; the sentences say what to do about it.
    """
    voice_id = voice["id"]
    try:
        with _telling("checking the clip"):
            voice = calls.wait(voice_id, lambda voice: voice["state"] != "checking")
    except KeyboardInterrupt:
        typer.echo(f"interrupted; the voice is kept: emotivoice voices show {voice_id}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if voice["state"] == "failed":
        raise ClientError(_why(voice))
    tables.show_own_voice(voice)
    if preview is not None:
        fetch_preview(calls, voice_id, preview)


def fetch_preview(calls: VoiceCalls, voice_id: str, output: str) -> None:
    """Write what the voice says, once it is spoken.

    Raises:
        ClientError: it can't be.
    """
    with _telling("waiting for the preview"):
        voice = calls.wait(voice_id, lambda voice: bool(voice["links"]["preview"]))
    if not voice["links"]["preview"]:
        raise ClientError(_why(voice))
    data = calls.preview(voice_id)
    with destination(output) as target:
        target.write(data)
    typer.echo(f"wrote {output}: {len(data)} bytes", err=output == "-")


def _why(voice: Json) -> str:
    """Return what became of a voice that can't speak."""
    if not voice["problems"]:
        return f"{voice['id']} has no preview: {voice['error']['message']} [{voice['error']['code']}]"
    advice = "".join(f"\n  {problem}" for problem in voice["problems"])
    return f"the clip will not do:{advice}\nSend another: emotivoice voices replace {voice['id']} FILE"


@contextmanager
def _telling(what: str) -> Generator[None]:
    """Say on a terminal what is waited for."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield
