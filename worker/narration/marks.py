"""Marked text to paragraphs, and each paragraph to runs of one style. The grammar is in docs/narration.md."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from shared.errors import InvalidMark
from worker.engine.text.characters import is_mark, tidy
from worker.engine.text.override import OVERRIDE

LEAST_SPEED, MOST_SPEED = 0.25, 4.0
MOST_STRENGTH = 2.0
MOST_PAUSE_SECONDS = 60.0


class Kind(StrEnum):
    """What a paragraph is."""

    TEXT = "text"
    HEADING = "heading"
    SCENE_BREAK = "scene break"


@dataclass(frozen=True)
class Style:
    """What the marks say of a stretch of text; what they don't say is as the chapter's."""

    voice: str = ""
    emotion: str = ""
    emotion_strength: float | None = None
    speed: float | None = None


@dataclass(frozen=True)
class Run:
    """A stretch of text in one style, and the pause that a mark asks for behind it. Only its overrides are marks."""

    text: str
    style: Style
    pause_seconds: float | None = None


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; a pause that its first mark asks for is before it."""

    kind: Kind
    runs: tuple[Run, ...] = ()
    pause_before: float | None = None

    @property
    def text(self) -> str:
        return "".join(run.text for run in self.runs)


_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_OWN_LINE = re.compile(r"^[^\S\n]*(?:#{1,3}[^\S\n].*|\*\*\*[^\S\n]*)$", re.MULTILINE)  # needs no blank line around it
_HEADING = re.compile(r"#{1,3}\s+")
_HAN = r"\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff"
_GAP_IN_HAN = re.compile(rf"(?<=[{_HAN}])\s*\n\s*(?=[{_HAN}])")
_TOKEN = re.compile(
    r"\\(?P<escaped>[\\\[\]#*])"
    rf"|(?P<override>{OVERRIDE.pattern})"
    r"|\[[^\S\n]*(?P<name>[A-Za-z_-]+)[^\S\n]*(?:(?P<colon>[:：])(?P<value>[^\[\]]*))?\]"
    r"|\[[^\S\n]*(?P<open>voice|emotion|pause|speed)\b(?=[^\S\n]*[:：])"
)


def paragraphs(text: str) -> Iterator[Paragraph]:
    """Yield the paragraphs of a chapter.

    Raises:
        InvalidMark: a mark is not one of ours, or its value is not.
    """
    for number, source in enumerate(_sources(text.replace("\r\n", "\n")), 1):
        yield _paragraph(source, number)


def problems(text: str) -> Iterator[InvalidMark]:
    """Yield what is wrong with the marks of a chapter: the first of each paragraph."""
    for number, source in enumerate(_sources(text.replace("\r\n", "\n")), 1):
        try:
            _paragraph(source, number)
        except InvalidMark as problem:
            yield problem


def _sources(text: str) -> Iterator[str]:
    for block in _BLANK_LINE.split(text):
        at = 0
        for match in _OWN_LINE.finditer(block):
            yield from filter(None, (block[at : match.start()].strip(), match[0].strip()))
            at = match.end()
        if rest := block[at:].strip():
            yield rest


def _paragraph(source: str, number: int) -> Paragraph:
    heading = _HEADING.match(source)
    body = source[heading.end() :] if heading else source
    if source == "***" or ("[" not in body and all(map(is_mark, tidy(body)))):
        return Paragraph(Kind.SCENE_BREAK)  # ornaments, such as * * * or a row of stars, are one too
    line = " ".join(_GAP_IN_HAN.sub("", body).split())
    before, runs = _Reader(number).read(line)
    if not runs and before is None:
        raise InvalidMark(line, paragraph=number, why="nothing follows it in its paragraph")
    return Paragraph(Kind.HEADING if heading else Kind.TEXT, runs, before)


class _Reader:
    """Reads one paragraph; each mark changes the style or ends a run."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._style = Style()
        self._text = ""
        self._runs: list[Run] = []
        self._before: float | None = None
        self._marks: Mapping[str, Callable[[str | None], None]] = {
            "voice": self._voice,
            "emotion": self._emotion,
            "pause": self._pause,
            "speed": self._speed,
        }

    def read(self, source: str) -> tuple[float | None, tuple[Run, ...]]:
        """Return the pause before the paragraph, and its runs."""
        at = 0
        for match in _TOKEN.finditer(source):
            self._text += source[at : match.start()]
            at = match.end()
            self._take(match, source)
        self._text += source[at:]
        self._end_run()
        return self._before, tuple(self._runs)

    def _take(self, match: re.Match[str], source: str) -> None:
        name = match["name"]
        if match["open"]:
            raise self._invalid(source[match.start() :], "it has no ] at its end")
        if match["escaped"]:
            self._text += match["escaped"]
        elif name and name.lower() in self._marks:
            value = match["value"].strip() if match["colon"] else None
            if value == "":
                raise self._invalid(match[0], "it has no value")
            self._marks[name.lower()](value)
        elif name and match["colon"] and name.islower():
            raise self._invalid(match[0], "there is no such mark")
        else:
            self._text += match[0]  # an override, or brackets that are no mark: [sic], [Note: ...]

    def _restyle(self, style: Style) -> None:
        self._end_run()
        self._style = style

    def _end_run(self, pause_seconds: float | None = None) -> None:
        """A run of blanks alone is nothing: its pause belongs to what is before it."""
        if self._text.strip():
            self._runs.append(Run(self._text, self._style, pause_seconds))
        elif pause_seconds is not None and self._runs:
            self._runs[-1] = replace(self._runs[-1], pause_seconds=pause_seconds)
        elif pause_seconds is not None:
            self._before = pause_seconds
        self._text = ""

    def _voice(self, value: str | None) -> None:
        self._restyle(replace(self._style, voice=value or ""))

    def _emotion(self, value: str | None) -> None:
        if value is None:
            return self._restyle(replace(self._style, emotion="", emotion_strength=None))
        emotion, _, strength = value.rpartition(" ")
        if not emotion or not re.fullmatch(r"\d*\.?\d+", strength):
            emotion, strength = value, ""
        number = self._number_in(strength, 0, MOST_STRENGTH, f"[emotion: {value}]") if strength else None
        return self._restyle(replace(self._style, emotion=emotion.strip(), emotion_strength=number))

    def _speed(self, value: str | None) -> None:
        speed = None
        if value is not None:
            speed = self._number_in(value, LEAST_SPEED, MOST_SPEED, f"[speed: {value}]")
        self._restyle(replace(self._style, speed=speed))

    def _pause(self, value: str | None) -> None:
        if value is None:
            raise self._invalid("[pause]", "it needs its seconds")
        self._end_run(self._number_in(value, 0, MOST_PAUSE_SECONDS, f"[pause: {value}]"))

    def _number_in(self, text: str, least: float, most: float, mark: str) -> float:
        if not re.fullmatch(r"\d*\.?\d+", text) or not least <= float(text) <= most:
            raise self._invalid(mark, f"its number is not one from {least:g} to {most:g}")
        return float(text)

    def _invalid(self, mark: str, why: str) -> InvalidMark:
        return InvalidMark(mark, paragraph=self._number, why=why)
