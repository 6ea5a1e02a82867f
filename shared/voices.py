"""Which voice a client means: an id, a name, or a blend of several such as `8051*0.7+985*0.3`."""

import re
from collections.abc import Iterable, Mapping

from shared.errors import InvalidBlend, UnknownVoice

MOST_VOICES = 8  # in a blend
_WEIGHT = re.compile(r"\d{1,6}(\.\d{0,6})?|\.\d{1,6}", re.ASCII)


class VoiceFinder:
    """The voices of an engine by id and, case aside, by the names that only one of them has.

    There may be thousands, so it is built once and asked often.
    """

    def __init__(self, voices: Iterable[Mapping[str, object]]) -> None:
        self._ids: dict[str, None] = {}  # in their order
        named: dict[str, list[tuple[str, str]]] = {}
        for voice in voices:
            voice_id, name = str(voice["id"]), str(voice["name"])
            self._ids[voice_id] = None
            named.setdefault(name.casefold(), []).append((name, voice_id))
        unique = {folded: voices[0] for folded, voices in named.items() if folded and len(voices) == 1}
        self._by_name = {folded: voice_id for folded, (_, voice_id) in unique.items()}
        self._names = [name for folded, (name, _) in unique.items() if folded not in self._ids]

    def find(self, asked: str, *, blends: bool) -> str:
        """Return the id of the voice, or the blend of ids.

        Raises:
            UnknownVoice: no voice has that id, nor is it the name of exactly one.
            InvalidBlend: it is a blend, and the engine takes none, or it has no voices, or its weights are no weights.
        """
        if (found := self._voice(asked)) is not None:
            return found
        if not any(mark in asked for mark in "+*"):
            raise self._unknown(asked)
        if not blends:
            raise InvalidBlend(asked, "this engine speaks with one voice at a time")
        parts = asked.split("+")
        if len(parts) > MOST_VOICES:
            raise InvalidBlend(asked, f"it has {len(parts)} voices; a blend may have {MOST_VOICES}")
        return "+".join(self._part(part, asked) for part in parts)

    def has(self, asked: str, *, blends: bool) -> bool:
        """Whether `find` finds it."""
        try:
            self.find(asked, blends=blends)
        except (UnknownVoice, InvalidBlend):
            return False
        return True

    def _part(self, part: str, blend: str) -> str:
        name, mark, weight = (each.strip() for each in part.rpartition("*"))
        if not mark:
            name, weight = part.strip(), "1"
        if not name:
            raise InvalidBlend(blend, f"there is no voice in its part {part!r}")
        voice = self._voice(name)
        if voice is None:
            raise self._unknown(name)
        if not _WEIGHT.fullmatch(weight) or not float(weight):
            raise InvalidBlend(
                blend, f"the weight {weight!r} is not a number above 0 with at most six digits on each side"
            )
        return f"{voice}*{weight}"

    def _voice(self, asked: str) -> str | None:
        asked = asked.strip()
        return asked if asked in self._ids else self._by_name.get(asked.casefold())

    def _unknown(self, asked: str) -> UnknownVoice:
        return UnknownVoice(asked, self._ids, names=self._names)
