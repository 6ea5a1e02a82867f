"""The voices of a model: its speaker list with what the voices table says of each, and blends of them."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from worker.engine.emotivoice.errors import ModelFolderError
from worker.engine.speech import Voice

LANGUAGES = ("en", "zh")  # every voice reads both
GENDERS = {"F": "female", "M": "male"}
UNKNOWN = "unknown"
ALLOWED = "a voice is an id such as 8051, a name that only one voice has, or a blend such as 8051*0.7+985*0.3"


@dataclass(frozen=True)
class TableRow:
    """What the voices table says of a voice."""

    name: str
    gender: str
    description: str


def read_lines(path: Path) -> tuple[str, ...]:
    """Return a list of names, one a line, where a name's number is its line's.

    Raises:
        ModelFolderError: it can't be read, a line is empty, or a name is there twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFolderError(f"{path} can't be read: {error}") from error
    while lines and not lines[-1].strip():
        lines.pop()
    names = tuple(line.strip() for line in lines)
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name:
            raise ModelFolderError(f"line {number} of {path} is empty, and a line's number is what counts")
        if name in seen:
            raise ModelFolderError(f"{path} has {name!r} twice, in lines {seen[name]} and {number}; rename one of them")
        seen[name] = number
    if not names:
        raise ModelFolderError(f"{path} is empty")
    return names


def read_table(path: Path) -> dict[str, TableRow]:
    """Return the rows of a markdown table `| ID | Voice Name | Gender | Description |` by id."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFolderError(f"{path} can't be read: {error}") from error
    rows: dict[str, TableRow] = {}
    for line in text.splitlines():
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())]
        if len(cells) < 5 or cells[0] or cells[1] == "ID" or not cells[1].strip("-: "):
            continue
        voice_id, name, gender, description = (*cells[1:5], "")[:4]
        rows.setdefault(voice_id, TableRow(name or voice_id, GENDERS.get(gender.upper()[:1], UNKNOWN), description))
    return rows


def voices_of(speakers: Sequence[str], table: dict[str, TableRow]) -> tuple[Voice, ...]:
    """Return a voice for every speaker, in the order of the speaker list; one that has no row is called by its id."""
    rows = ((speaker, table.get(speaker, TableRow(speaker, UNKNOWN, ""))) for speaker in speakers)
    return tuple(Voice(speaker, row.name, LANGUAGES, row.gender, row.description) for speaker, row in rows)


class VoiceFinder:
    """Finds the rows of the speaker table that a voice's id, name or blend means."""

    def __init__(self, voices: Sequence[Voice]) -> None:
        self._voices = tuple(voices)
        self._rows = {voice.id: row for row, voice in enumerate(voices)}
        self._named: dict[str, list[int]] = {}
        for row, voice in enumerate(voices):
            self._named.setdefault(voice.name.casefold(), []).append(row)

    def find(self, expression: str) -> list[tuple[int, float]]:
        """Return (row, weight) of each voice in an expression; the weights sum to 1.

        An expression is an id (`8051`), a name that only one voice has, in any case (`Maria Kasper`), or a blend:
        voices with weights (`8051*0.7+985*0.3`), or without, which count 1 each (`8051+985` is half and half).
        Weights are above 0 and are divided by their sum, so `8051*7+985*3` is the first blend again.

        Raises:
            ValueError: there is no such voice, several have that name, or it is no expression.
        """
        whole = self._row(expression.strip())
        if whole is not None:
            return [(whole, 1.0)]
        weights: dict[int, float] = {}
        for part in expression.split("+"):
            row, weight = self._part(part.strip(), expression)
            weights[row] = weights.get(row, 0.0) + weight
        total = math.fsum(weights.values())
        return [(row, weight / total) for row, weight in weights.items()]

    def _part(self, part: str, expression: str) -> tuple[int, float]:
        name, star, weight = (each.strip() for each in part.rpartition("*"))
        if not star:
            name, weight = part, "1"
        row = self._row(name)
        if row is None:
            raise ValueError(self._unknown(name, expression))
        # At most six digits on each side: a sum of them neither overflows nor vanishes.
        if not re.fullmatch(r"\d{1,6}(\.\d{0,6})?|\.\d{1,6}", weight, re.ASCII) or not float(weight):
            raise ValueError(
                f"the weight of {name!r} in {expression!r} is {weight!r}; a weight is a number above 0 such as 0.7"
            )
        return row, float(weight)

    def _row(self, name: str) -> int | None:
        if name in self._rows:
            return self._rows[name]
        rows = self._named.get(name.casefold(), [])
        if len(rows) > 1:
            ids = ", ".join(self._voices[row].id for row in rows)
            raise ValueError(f"several voices are called {name!r}; take one by its id: {ids}")
        return rows[0] if rows else None

    def _unknown(self, name: str, expression: str) -> str:
        known = [*self._rows, *(voice.name for voice in self._voices)]
        nearest = get_close_matches(name, known, n=3)
        hint = f" Nearest: {', '.join(dict.fromkeys(nearest))}." if nearest else ""
        where = f" in {expression!r}" if name != expression.strip() else ""
        return f"no voice is called {name!r}{where}.{hint} There are {len(self._voices)} voices; {ALLOWED}"
