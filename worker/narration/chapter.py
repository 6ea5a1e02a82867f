"""A chapter becomes segments: a paragraph each, but for long ones."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from shared.errors import EmptyText, InvalidMark
from shared.jobs import Narration, SpeechRequest
from shared.ports import Part, Segment
from shared.speech_length import estimated_seconds
from worker.engine.text.override import without_overrides
from worker.engine.text.segmentation import Pause, Piece, split
from worker.narration.casting import Casting
from worker.narration.cuts import Measured, cut
from worker.narration.marks import Kind, Paragraph, Run, Style, paragraphs, problems
from worker.narration.pauses import SECONDS, Reason
from worker.narration.pronunciation import Pronunciations

_CLOSING = "”’」』》)）]】\"' »›"
_SENTENCE_ENDS = "。！？.!?…"
_PHRASE_ENDS = ",，、;；:：—–"


def narrate(request: SpeechRequest) -> list[Segment]:
    """Return the segments of a chapter, whose text is marked text.

    Raises:
        InvalidMark: a mark in it can't be followed.
        EmptyText: nothing in it can be spoken.
    """
    narrator = _Narrator(request)
    groups: list[list[Segment]] = []
    for paragraph in _joined(list(paragraphs(request.text))):
        groups.append(narrator.segments(paragraph))
    if not groups:
        raise EmptyText
    return [segment for group in groups for segment in group]


def check_marks(text: str, *, has_voice: Callable[[str], bool], emotions: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with the marks of a chapter, a sentence each; without emotions, any is one."""
    well_formed = True
    for problem in problems(text):
        well_formed = False
        yield str(problem)
    for number, paragraph in enumerate(paragraphs(text) if well_formed else (), 1):
        for style in dict.fromkeys(run.style for run in paragraph.runs):
            yield from _unknown(style, number, has_voice, emotions)


def _unknown(style: Style, number: int, has_voice: Callable[[str], bool], emotions: Collection[str]) -> Iterator[str]:
    if style.voice and not has_voice(style.voice):
        yield f"paragraph {number}: there is no voice {style.voice!r}"
    if style.emotion and emotions and style.emotion not in emotions:
        yield f"paragraph {number}: there is no emotion {style.emotion!r}; there are {', '.join(emotions)}"


@dataclass(frozen=True)
class _Followed:
    """A paragraph that is spoken, and the pause behind it, by a reason or by a mark."""

    paragraph: Paragraph
    reason: Reason
    asked_seconds: float | None


def _joined(found: Sequence[Paragraph]) -> list[_Followed]:
    """Return what is spoken; breaks and lone pauses go into the pause before them."""
    followed: list[_Followed] = []
    for number, paragraph in enumerate(found, 1):
        asked = paragraph.pause_before
        if asked is not None and not followed:
            raise InvalidMark(f"[pause: {asked:g}]", paragraph=number, why="nothing is spoken before it")
        if followed:
            followed[-1] = _before(followed[-1], paragraph)
        if paragraph.runs:
            followed.append(_Followed(paragraph, Reason.PARAGRAPH, paragraph.runs[-1].pause_seconds))
    return [*followed[:-1], replace(followed[-1], reason=Reason.CHAPTER)] if followed else []


def _before(last: _Followed, following: Paragraph) -> _Followed:
    """Return the last paragraph with what the one behind it does to the pause between them."""
    heading = Kind.HEADING in (last.paragraph.kind, following.kind)
    reasons = [last.reason, Reason.HEADING if heading else Reason.PARAGRAPH]
    reasons += [Reason.SCENE] if following.kind is Kind.SCENE_BREAK else []
    asked = last.asked_seconds if following.pause_before is None else following.pause_before
    return replace(last, reason=max(reasons, key=SECONDS.__getitem__), asked_seconds=asked)


class _Narrator:
    """Makes parts of paragraphs."""

    def __init__(self, request: SpeechRequest) -> None:
        narration = request.narration or Narration()
        self._request = request
        self._casting = Casting(narration)
        self._pronunciations = Pronunciations(narration.pronunciations)
        self._scale = narration.pause_scale

    def segments(self, followed: _Followed) -> list[Segment]:
        parts = self._parts(self._casting.runs(followed.paragraph))
        last = self._pause(followed.reason) if followed.asked_seconds is None else followed.asked_seconds
        ranges = cut([self._measured(part, following) for part, following in pairwise([*parts, None]) if part])
        segments = [_segment(parts[start:end]) for start, end in ranges]
        return [*segments[:-1], replace(segments[-1], pause_seconds=last)]

    def _parts(self, runs: Sequence[Run]) -> list[Part]:
        parts: list[Part] = []
        for run, following in pairwise([*runs, None]):
            if run is None:
                continue
            pieces = split(run.text)
            parts += [self._part(piece, run, self._pause(_reason(piece))) for piece in pieces[:-1]]
            between = self._between(run, following) if following else 0.0
            parts.append(self._part(pieces[-1], run, between))
        return parts

    def _part(self, piece: Piece, run: Run, pause_seconds: float) -> Part:
        text, written = self._pronunciations.said(piece.text)
        style = run.style
        voice = "" if style.voice == self._request.voice else style.voice
        return Part(text, pause_seconds, written, voice, style.emotion, style.emotion_strength, style.speed)

    def _between(self, run: Run, following: Run) -> float:
        """The pause between two runs."""
        if run.pause_seconds is not None:
            return run.pause_seconds
        end = run.text.rstrip(_CLOSING)[-1:]
        goes_on = following.text.lstrip()[:1].islower()
        if end in _SENTENCE_ENDS and not goes_on:
            return self._pause(Reason.SENTENCE)
        if run.style.voice != following.style.voice:
            return self._pause(Reason.SPEAKER)
        return self._pause(Reason.PHRASE if end in _PHRASE_ENDS else Reason.WORD)

    def _pause(self, reason: Reason) -> float:
        return round(SECONDS[reason] * self._scale, 3)

    def _measured(self, part: Part, following: Part | None) -> Measured:
        seconds = estimated_seconds(part.text) / (part.speed or self._request.speed) + part.pause_seconds
        ends = _shown(part).rstrip(_CLOSING)[-1:] in _SENTENCE_ENDS
        return Measured(_shown(part), seconds, ends and not (following and following.text[:1].islower()))


def _reason(piece: Piece) -> Reason:
    """Why a piece ends that is not the last of its run."""
    if piece.pause is not Pause.PHRASE:
        return Reason.SENTENCE
    return Reason.PHRASE if piece.text.rstrip(_CLOSING)[-1:] in _PHRASE_ENDS else Reason.WORD


def _segment(parts: Sequence[Part]) -> Segment:
    """Return the parts as a segment; the pause behind the last is the segment's."""
    last = replace(parts[-1], pause_seconds=0.0)
    return Segment(_together([_shown(part) for part in parts]), parts[-1].pause_seconds, (*parts[:-1], last))


def _together(texts: Sequence[str]) -> str:
    """Return them as one text: with a blank between two, unless it is beside a Chinese character or mark."""
    text = texts[0]
    for one in texts[1:]:
        text += one if max(text[-1], one[0]) >= "\u2e80" else f" {one}"
    return text


def _shown(part: Part) -> str:
    """The part as the book has it."""
    return part.written or without_overrides(part.text)[0]
