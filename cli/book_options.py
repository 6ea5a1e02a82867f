"""What the options of `emotivoice book` mean."""

import re
from collections.abc import Iterable
from pathlib import Path

import typer

from shared.books import FORMATS

_ENDINGS = {
    f".{extension}" if extension == format else f".{format}.{extension}": format
    for format, (_, extension) in FORMATS.items()
}
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


def outputs_of(files: Iterable[str]) -> dict[str, str]:
    """Return the files by the formats that their names mean."""
    found: dict[str, str] = {}
    for file in files:
        format = next((format for ending, format in _ENDINGS.items() if file.lower().endswith(ending)), None)
        if format is None:
            raise typer.BadParameter(f"can't tell the format of {file}; use one of: {', '.join(_ENDINGS)}")
        if format in found:
            raise typer.BadParameter(f"{found[format]} and {file} are the same edition; name one of them")
        found[format] = file
    return found


def speakers_of(pairs: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, sign, voice = (part.strip() for part in pair.rpartition("="))
        if not (name and sign and voice):
            raise typer.BadParameter(f"--speaker {pair} is not of the form NAME=VOICE")
        found[name] = voice
    return found


def dictionary(file: Path) -> dict[str, str]:
    """Read `word = how it is said`, a line each."""
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is not UTF-8 text") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        word, sign, said = (part.strip() for part in line.partition("="))
        if not (word and sign and said):
            raise typer.BadParameter(f"line {number} of {file} is not of the form word = how it is said")
        found[word] = said
    return found


def check_chapters(text: str | None) -> None:
    if text is not None and text != "all":
        numbers(text)


def numbers(text: str) -> set[int]:
    """Return the numbers of a list such as 1-3,5."""
    found: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 0 < first <= last:
            raise typer.BadParameter(f"--chapters {text} is not a list such as 1-3,5")
        found |= set(range(first, last + 1))
    return found


def fields_of(**fields: object) -> dict[str, object]:
    """Return those that were given."""
    return {name: value for name, value in fields.items() if value is not None}
