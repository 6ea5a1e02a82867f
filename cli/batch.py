"""`emotivoice batch`: a file of lines in, a folder of audio out. Ctrl-C stops looking; the same command goes on."""

from pathlib import Path
from typing import Annotated

import typer

from cli.connection import DEFAULT_URL, Token, Url, connected

EPILOG = (
    "\b\nExamples:\n"
    "  emotivoice batch greetings.jsonl -o greetings --template 'Dear {name}, happy new year!' --format mp3\n"
    "  emotivoice batch lines.jsonl -o audio\n"
    "  emotivoice batch lines.jsonl -o audio --retry     # what failed, once more\n\n"
    "\b\nA line is a JSON object. All but text, or variables for the template, may be left out:\n"
    '  {"custom_id": "anna", "variables": {"name": "Anna"}, "voice": "8051", "emotion": "happy"}\n'
    '  {"custom_id": "note", "text": "See you tomorrow.", "speed": 1.2, "format": "flac"}\n\n'
    "\bThe folder gets 000001-anna.mp3 and so on, by the line's number and its custom_id, as they are finished, and\n"
    "manifest.jsonl at the end. It is one batch as long as file and options are the same: the command again goes on\n"
    "where it was, and fetches only what is not there.\n\n"
    "\bExit codes: 0 every line is there, 1 some are not or the gateway failed, 2 wrong usage, 130 Ctrl-C (the batch\n"
    "goes on)."
)


def batch(  # noqa: PLR0913, PLR0917 - the options of the command
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="JSON Lines: one object a line.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Where to write; by default the file's name.")
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="Spoken for lines without text, with their variables in place of {names}.")
    ] = None,
    voice: Annotated[str | None, typer.Option(help="For lines that name none: one of `emotivoice voices`.")] = None,
    emotion: Annotated[str | None, typer.Option(help="For lines that name none.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.25, max=4, help="For lines that name none.")] = None,
    format: Annotated[
        str | None, typer.Option(help="For lines that name none: wav, mp3, opus, flac, aac or m4a.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Have tried again what failed in this batch.")] = False,
    new: Annotated[bool, typer.Option("--new", help="A new batch, though there is one of this file.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Speak each line of a file, up to 100,000, by all workers of the lane bulk."""
    from cli import batch_making

    defaults = {"voice": voice, "emotion": emotion, "speed": speed, "format": format}
    options = {
        "template": template or "",
        "defaults": {name: value for name, value in defaults.items() if value is not None},
    }
    folder = output or Path(file.stem)
    with connected(url, token) as client:
        batch_making.make(client, file, options, folder, retry=retry, new=new)
