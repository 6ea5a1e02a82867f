"""Which voice a client means: an id, a name, or a blend of several such as `8051*0.7+985*0.3`."""

import re
from collections.abc import Iterable, Mapping

from shared.errors import InvalidBlend, UnknownVoice

MOST_VOICES = 8  # in a blend
_WEIGHT = re.compile(r"\d{1,6}(\.\d{0,6})?|\.\d{1,6}", re.ASCII)


def find_voice(asked: str, voices: Iterable[Mapping[str, object]], *, blends: bool) -> str:
    """Return the id of the voice, or the blend of ids.

    Raises:
        UnknownVoice: no voice has that id, nor is it the name of exactly one.
        InvalidBlend: it is a blend, and the engine takes none, or its weights are no weights.
    """
    known = _Known(voices)
    if (found := known.find(asked)) is not None:
        return found
    if not any(mark in asked for mark in "+*"):
        raise UnknownVoice(asked, known.ids)
    if not blends:
        raise InvalidBlend(asked, "this engine speaks with one voice at a time")
    parts = asked.split("+")
    if len(parts) > MOST_VOICES:
        raise InvalidBlend(asked, f"it has {len(parts)} voices; a blend may have {MOST_VOICES}")
    return "+".join(_part(part, asked, known) for part in parts)


def _part(part: str, blend: str, known: "_Known") -> str:
    name, mark, weight = (each.strip() for each in part.rpartition("*"))
    if not mark:
        name, weight = part.strip(), "1"
    voice = known.find(name)
    if voice is None:
        raise UnknownVoice(name, known.ids)
    if not _WEIGHT.fullmatch(weight) or not float(weight):
        raise InvalidBlend(blend, f"the weight {weight!r} is not a number above 0 with at most six digits on each side")
    return f"{voice}*{weight}"


class _Known:
    """The voices by id and, case aside, by the names that only one of them has."""

    def __init__(self, voices: Iterable[Mapping[str, object]]) -> None:
        named: dict[str, list[str]] = {}
        self.ids: list[str] = []
        for voice in voices:
            self.ids.append(str(voice["id"]))
            named.setdefault(str(voice["name"]).casefold(), []).append(str(voice["id"]))
        self._ids = frozenset(self.ids)
        self._by_name = {name: ids[0] for name, ids in named.items() if name and len(ids) == 1}

    def find(self, asked: str) -> str | None:
        return asked if asked in self._ids else self._by_name.get(asked.casefold())
