"""Lines of plain text that are the headings of chapters, in English and Chinese."""

import re
from dataclasses import dataclass

_ONES = "one|two|three|four|five|six|seven|eight|nine"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_WORDS = f"{_ONES}|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|(?:{_TENS})(?:[- ](?:{_ONES}))?"
_ORDINALS = "the (?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last)"
_ENGLISH = re.compile(
    r"(?P<key>(?P<unit>chapter|part|book|volume|section|act|scene|canto|letter|stave)\s+"
    rf"(?:\d{{1,4}}|[ivxlcdm]{{1,9}}|{_WORDS}|{_ORDINALS}))(?P<rest>(?:[\s.:—–-].{{0,80}})?)",
    re.IGNORECASE,
)
_ALONE = re.compile(
    r"(?P<key>prologue|epilogue|preface|introduction|foreword|afterword|interlude|contents|table of contents|"
    r"appendix(?: [a-z0-9])?|conclusion|dedication|acknowledge?ments|postscript)(?:\.|:.{1,60})?",
    re.IGNORECASE,
)
_NUMBER = "[0-9０-９零〇○一二三四五六七八九十百千万萬两兩廿卅]{1,9}"
_CHINESE = re.compile(
    rf"(?P<key>第{_NUMBER}(?P<unit>[章回节節卷部篇集幕折话話]))"
    r"(?:[\s:：、.·—-]+.{0,40}(?<![。，；、,;])|[^，。；！？…\s]{0,20})"
)
_CHINESE_ALONE = re.compile(
    rf"(?P<key>卷{_NUMBER}|[自原]?序[章言幕]?|前言|引[言子]|楔子|尾[声聲]|[后後]记|後記|[终終]章|附[录錄]|目[录錄]|番外|跋)"
    r"(?:[\s:：、.·—-]+.{0,30}(?<![。，；、,;]))?"
)
_LONGEST = 200
_PARTS = frozenset(("part", "book", "volume", "卷", "部", "篇", "集"))


@dataclass(frozen=True)
class Heading:
    """What a line says if it is a heading. Headings of one chapter, in a list and in place, have the same key."""

    text: str
    key: str
    level: int


def heading_in(line: str) -> Heading | None:
    """Return what a line says as a heading, or None if it is a line of text."""
    if len(line) > _LONGEST:
        return None
    text = " ".join(line.split())
    match = _CHINESE.fullmatch(text) or _CHINESE_ALONE.fullmatch(text) or _ALONE.fullmatch(text)
    if match is None:
        match = _ENGLISH.fullmatch(text)
        if match is None or not _is_title(match["rest"]):
            return None
    unit = match.groupdict().get("unit") or ""
    return Heading(text, "".join(match["key"].lower().split()), 1 if unit.lower() in _PARTS else 2)


def _is_title(rest: str) -> bool:
    """Return whether what follows `Chapter 3` is a title, and not the rest of a sentence."""
    title = rest.strip(" .:—–-")
    if not title:
        return True
    a_sentence = title[0].islower() and rest[0] not in ":—–-"
    return not (a_sentence or title[-1] in ",;" or re.match(r"\.\d", rest))
