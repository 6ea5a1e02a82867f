"""Who says what stands in quotes: by the known name that stands beside it with a verb of speech.

1. The narration before the quote ends with a colon or comma, and its last sentence has name and verb.
2. The narration behind it has them, up to the end of its sentence; unless that sentence leads to the next quote.
3. Of the sentences of narration before it in the paragraph, the last that has a name: the first name in that.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from worker.engine.text.characters import is_han
from worker.narration.quotes import Quote

_VERBS = """say said says ask asked asks reply replied replies answer answered answers cry cried cries shout shouted
shouts whisper whispered whispers murmur murmured mutter muttered exclaim exclaimed call called continue continued add
added begin began return returned remark remarked observe observed tell told demand demanded inquire inquired enquired
sob sobbed laugh laughed sigh sighed yell yelled scream screamed repeat repeated agree agreed insist insisted suggest
suggested explain explained declare declared growl growled snap snapped breathe breathed groan groaned admit admitted
protest protested announce announced respond responded interrupt interrupted wonder wondered beg begged warn warned
joke joked think thought retort retorted gasp gasped stammer stammered"""
_SPEAKS = rf"(?:{'|'.join(sorted(_VERBS.split(), key=len, reverse=True))}|went\son|goes\son)"
_SPEAKS_HAN = "(?:说|道|问|答|喊|叫|嚷|叹|吼|骂|低语|嘟囔|开口|回应|解释|补充|說|問|嘆|罵|開口|回應|解釋|補充)"
_BETWEEN = r"[\s,]+(?:[\w’'-]+\s+){0,2}?"  # name and verb may have two words between them: John then quietly said
_SENTENCE_END = re.compile(r"[.!?…。！？](?=\s|$|[^\x00-\x7f])")
_SENTENCE_GAP = re.compile(rf"\n+|{_SENTENCE_END.pattern}")  # a line feed stands for what is said
LOOK_BACK = 2_000  # characters in which the last name is looked for
_SCRIPT = re.compile(r"\s*[:：]\s*")


@dataclass(frozen=True)
class _Mention:
    """A name with a verb of speech, in [start, end)."""

    name: str
    start: int
    end: int


class Speakers:
    """The names that have a voice."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(names, key=len, reverse=True)
        self._says = _says(self._names) if self._names else None
        self._named = _named(self._names)

    def script(self, text: str) -> tuple[str, int]:
        """Return who speaks a line of a script, `John: Come in.`, and where that begins; ("", 0) if it is none."""
        for name in self._names:
            if text.startswith(name) and (mark := _SCRIPT.match(text, len(name))):
                return name, mark.end()
        return "", 0

    def of(self, text: str, speeches: Sequence[Quote]) -> list[str]:
        """Return who says each of the quotes; "" where the rules find nobody."""
        if self._says is None or not speeches:
            return [""] * len(speeches)
        narration = _narration(text, speeches)
        found = [_Mention(_name(match), match.start(), match.end()) for match in self._says.finditer(narration)]
        return [self._who(text, narration, speeches, number, found) for number in range(len(speeches))]

    def _who(self, text: str, narration: str, speeches: Sequence[Quote], number: int, found: Sequence[_Mention]) -> str:
        quote = speeches[number]
        since = speeches[number - 1].end if number else 0
        until = speeches[number + 1].start if number + 1 < len(speeches) else len(narration)
        before = narration[since : quote.start].rstrip()
        after = narration[quote.end : until]
        if script := self._named_last(before):
            return script
        if before.endswith((":", "：", ",", "，")):
            begins = since + _last_sentence(before)
            if said := _within(found, begins, quote.start):
                return said[-1].name
        if not _leads_on(text[quote.start : quote.end], after):
            ends = quote.end + _first_sentence(after)
            if said := _within(found, quote.end, ends):
                return said[0].name
        return self._named_before(narration[max(0, quote.start - LOOK_BACK) : quote.start])

    def _named_before(self, narration: str) -> str:
        """The first name in the last sentence that has one: mostly who does something, and then speaks."""
        for sentence in reversed(_SENTENCE_GAP.split(narration)):
            if name := self._named.search(sentence):
                return name[0]
        return ""

    def _named_last(self, before: str) -> str:
        """Who stands alone before a colon: John: “Come in.”"""
        if not before.endswith((":", "：")):
            return ""
        rest = before[:-1].rstrip()
        found = next((name for name in self._names if rest.endswith(name)), "")
        return found if found and _begins(rest, len(rest) - len(found)) else ""


def _says(names: Sequence[str]) -> re.Pattern[str]:
    """Match a name beside a verb of speech, in either order."""
    latin = [re.escape(name) for name in names if not is_han(name[0])] or [r"(?!)"]
    han = [re.escape(name) for name in names if is_han(name[0])] or [r"(?!)"]
    one, other = "|".join(latin), "|".join(han)
    between_han = r"[^\s。！？，“”「」:：]{0,6}?"
    return re.compile(
        rf"\b(?P<a>{one})\b{_BETWEEN}{_SPEAKS}\b|\b{_SPEAKS}{_BETWEEN}\b(?P<b>{one})\b"
        rf"|(?P<c>{other}){between_han}{_SPEAKS_HAN}"
        rf"|(?P<d>{one})\s?{between_han}{_SPEAKS_HAN}"
    )


def _named(names: Sequence[str]) -> re.Pattern[str]:
    """Match a name as a whole word, a Chinese one anywhere."""
    each = (re.escape(name) if is_han(name[0]) else rf"\b{re.escape(name)}\b" for name in names)
    return re.compile("|".join(each) or r"(?!)")


def _within(found: Sequence[_Mention], start: int, end: int) -> Sequence[_Mention]:
    """Return the mentions in [start, end), of some that are in order."""
    first = bisect_left(found, start, key=lambda one: one.start)
    return found[first : bisect_right(found, end, lo=first, key=lambda one: one.end)]


def _leads_on(quote: str, after: str) -> bool:
    """Whether the narration behind a quote belongs to the next one: “Go.” Mary said, “I stay.”"""
    end = after.rstrip()[-1:]
    return end in (":", "：") or (end == "," and quote.rstrip("”’\"'»")[-1:] == ".")


def _name(match: re.Match[str]) -> str:
    return match["a"] or match["b"] or match["c"] or match["d"]


def _narration(text: str, speeches: Sequence[Quote]) -> str:
    """Return the text with what is said blanked out, so that places stay what they are."""
    kept: list[str] = []
    at = 0
    for quote in speeches:
        kept += [text[at : quote.start], "\n" * (quote.end - quote.start)]
        at = quote.end
    return "".join([*kept, text[at:]])


def _begins(text: str, at: int) -> bool:
    return at == 0 or is_han(text[at]) or not text[at - 1].isalnum()


def _last_sentence(text: str) -> int:
    return max((match.end() for match in _SENTENCE_END.finditer(text) if match.end() < len(text)), default=0)


def _first_sentence(text: str) -> int:
    """Where the sentence ends that goes on behind a quote."""
    match = _SENTENCE_END.search(text)
    return match.end() if match else len(text)
