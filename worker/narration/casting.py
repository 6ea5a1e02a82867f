"""Give each stretch of a paragraph its voice: what is said its speaker's, the rest the narrator's."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from shared.jobs import Narration
from worker.engine.text.characters import is_mark
from worker.narration.marks import Paragraph, Run
from worker.narration.quotes import Quote, continues, speeches
from worker.narration.speakers import Speakers

_LEADING = re.compile(r"[,.;:!?，。；：！？、…]*")  # marks that belong to what is before them: ‘Go’, he said


@dataclass(frozen=True)
class _Said:
    """A stretch [start, end) of a paragraph in the voice of who says it; "" is the narrator's."""

    start: int
    end: int
    voice: str


class Casting:
    """Goes through a chapter's paragraphs in order: a quote may go on in the next."""

    def __init__(self, narration: Narration) -> None:
        self._voices = narration.speakers
        self._dialogue_voice = narration.dialogue_voice
        self._speakers = Speakers(narration.speakers)
        self._opening, self._voice = "", ""  # of the quote that the paragraph before left open

    def runs(self, paragraph: Paragraph) -> list[Run]:
        """Return the paragraph's runs, each in one voice. A voice that a mark asks for has it."""
        casts = self._voices or self._dialogue_voice
        said = self._said(paragraph.text) if casts else []
        return _with_their_marks(_merged(_split(paragraph.runs, [one for one in said if one.voice])))

    def _said(self, text: str) -> list[_Said]:
        name, begins = self._speakers.script(text)
        found = speeches(text)
        if name and not (found and found[0].start == begins):
            self._opening = ""
            return [_Said(begins, len(text), self._voices[name])]
        names = self._speakers.of(text, found)
        voices = [self._voices.get(name, self._dialogue_voice) for name in names]
        if voices and continues(text, self._opening):
            voices[0] = self._voice
        self._remember(found, voices)
        return [_Said(quote.start, quote.end, voice) for quote, voice in zip(found, voices, strict=True)]

    def _remember(self, found: Sequence[Quote], voices: Sequence[str]) -> None:
        goes_on = bool(found) and found[-1].open
        self._opening, self._voice = (found[-1].opening, voices[-1]) if goes_on else ("", "")


def _split(runs: Sequence[Run], said: Sequence[_Said]) -> Iterator[Run]:
    """Yield the runs, cut where somebody begins or ends to speak; the last piece of a run has its pause."""
    starts = [one.start for one in said]
    edges = [edge for one in said for edge in (one.start, one.end)]
    offset = 0
    for run in runs:
        end = offset + len(run.text)
        inside = edges[bisect_right(edges, offset) : bisect_left(edges, end)]
        for begin, stop in pairwise(sorted({offset, *inside, end})):
            number = bisect_right(starts, begin) - 1
            speaks = number >= 0 and begin < said[number].end
            voice = run.style.voice or (said[number].voice if speaks else "")
            text = run.text[begin - offset : stop - offset]
            yield Run(text, replace(run.style, voice=voice), run.pause_seconds if stop == end else None)
        offset = end


def _merged(runs: Iterator[Run]) -> list[Run]:
    """Put neighbours together that nothing tells apart."""
    merged: list[Run] = []
    for run in runs:
        if merged and merged[-1].style == run.style and merged[-1].pause_seconds is None:
            merged[-1] = replace(run, text=merged[-1].text + run.text)
        else:
            merged.append(run)
    return merged


def _with_their_marks(runs: Sequence[Run]) -> list[Run]:
    """Marks that close go to the run before them, and so does a run of marks only: nobody can speak a lone dash."""
    kept: list[Run] = []
    held = ""
    for run in runs:
        marks, text = _leading(run.text)
        if kept and kept[-1].pause_seconds is None:
            kept[-1] = replace(kept[-1], text=kept[-1].text + marks)
        else:
            held += marks
        if text:
            kept.append(replace(run, text=held + text))
            held = ""
        elif kept and run.pause_seconds is not None:
            kept[-1] = replace(kept[-1], pause_seconds=run.pause_seconds)
    return kept if not held or not kept else [*kept[:-1], replace(kept[-1], text=kept[-1].text + held)]


def _leading(text: str) -> tuple[str, str]:
    """Return the marks that a run begins with, and its text."""
    if all(map(is_mark, text)):
        return text, ""
    marks = _LEADING.match(text)
    end = marks.end() if marks else 0
    return text[:end], text[end:]
