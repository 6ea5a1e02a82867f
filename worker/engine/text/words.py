"""English words that are not said as they are spelled: abbreviations, initials, addresses, Greek letters."""

import re

from worker.engine.text import english
from worker.engine.text.characters import plain_latin
from worker.engine.text.rules import Reader, Rule

# Tables read better in rows.
# fmt: off
_ABBREVIATIONS = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor", "St": "Saint", "Jr": "Junior",
    "Sr": "Senior", "vs": "versus", "etc": "et cetera", "Inc": "Incorporated", "Ltd": "Limited", "Co": "Company",
    "Corp": "Corporation", "approx": "approximately", "Fig": "Figure", "Vol": "Volume", "Ave": "Avenue",
    "Blvd": "Boulevard", "Rd": "Road", "Dept": "Department", "Gen": "General", "Col": "Colonel", "Sgt": "Sergeant",
    "Capt": "Captain", "Lt": "Lieutenant", "Rev": "Reverend", "Gov": "Governor", "Sen": "Senator",
    "Rep": "Representative", "Mt": "Mount", "al": "al", "No": "number", "Jan": "January", "Feb": "February",
    "Mar": "March", "Apr": "April", "Jun": "June", "Jul": "July", "Aug": "August", "Sep": "September",
    "Sept": "September", "Oct": "October", "Nov": "November", "Dec": "December",
}
# fmt: on
ABBREVIATED = frozenset(_ABBREVIATIONS)  # the segmentation knows that their point ends no sentence
_EMPHASIZED = """THE AND NOT NOW YOU ARE BUT FOR ALL CAN HAS HER HIS HOW NEW NO YES GO TO IN ON AT IS SO DO WE HE SHE
WAS OUT OFF OUR GET BIG BAD BEST EVER NEVER ONLY VERY MUST STOP WAIT HELP LOOK OH WOW HEY BE MY ME IF OR OF BY UP ONE
TWO TEN FREE OK"""  # plain words that writers put in capitals for weight
_ACRONYMS = "NASA NATO UNESCO UNICEF OPEC COVID LASER RADAR SCUBA ASCII JPEG GIF RAM ROM LAN WAN SIM PIN NAND CAPTCHA"
_SAID_AS_WORDS = frozenset((*_EMPHASIZED.split(), *_ACRONYMS.split()))
_SPOKEN_SPECIALLY = {"OK": "okay", "WiFi": "why fi", "Wi": "why", "vs": "versus", "e": "e", "iOS": "i O S"}
_GREEK_NAMES = """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mew new ksi omicron pie rho sigma
sigma tau upsilon fie kye psi omega"""  # spelled as an English dictionary would say them
GREEK = dict(zip("αβγδεζηθικλμνξοπρςστυφχψω", _GREEK_NAMES.split(), strict=True)) | {"µ": "micro"}


def say_word(word: str, *, shouting: bool = False) -> str:
    """One Latin word as ASCII words: initials are spelled, joined words come apart, accents go."""
    plain = plain_latin(word.replace("’", "'"))
    if plain in _SPOKEN_SPECIALLY:
        return _SPOKEN_SPECIALLY[plain]
    return " ".join(_say_part(part, shouting=shouting) for part in _parts(plain))


def is_shouting(text: str) -> bool:
    """Whether the sentence is in capitals, so that capitals don't mean initials: "STOP RIGHT NOW"."""
    found = re.findall(r"[A-Za-z]{2,}", text)
    return len(found) >= 3 and all(word.isupper() for word in found)


def _parts(word: str) -> list[str]:
    """Joined words: iPhone -> i Phone, OpenAI -> Open AI, PDFs -> PDF s."""
    if re.fullmatch(r"[A-Z]{2,}(?:'?s)", word):
        return [word]
    return re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z']+|[A-Z](?![a-z])|[A-Z]+|'+", word) or [word]


def _say_part(part: str, *, shouting: bool) -> str:
    initials = re.fullmatch(r"([A-Z]{2,})('?s)?", part)
    if initials is None or initials[1] in _SAID_AS_WORDS:
        return part if part == "I" or len(part) == 1 else part.lower()
    if shouting or (len(initials[1]) > 3 and _pronounceable(initials[1])):
        return part.lower()
    spelled = " ".join(initials[1])
    return spelled + ("'s" if initials[2] else "")


def _pronounceable(word: str) -> bool:
    """Vowels and consonants take turns closely enough to be said as a word: FIFA yes, HTML no."""
    return (
        re.search(r"[AEIOUY]", word) is not None and re.search(r"[^AEIOUY]{4}|[AEIOU]{3}|^[^AEIOUY]{3}", word) is None
    )


def _joined_initials(match: re.Match[str], _: Reader) -> str:
    return " and ".join(" ".join(part) for part in match[0].split("&"))


def _spelled(match: re.Match[str], _: Reader) -> str:
    return " ".join(re.findall("[A-Za-z]", match[0].upper()))


_ADDRESS_SIGNS = {".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", "+": "plus", ":": "colon"} | {
    "?": "question mark",
    "=": "equals",
    "&": "and",
    "#": "hash",
    "%": "percent",
    "~": "tilde",
}


def _address(match: re.Match[str], _: Reader) -> str:
    written = match.groupdict().get("n") or match[0]
    parts = re.findall(r"[A-Za-z]+|\d+|[^A-Za-z\d]", written.replace("://", " ").replace("www.", "W W W dot "))
    said = [_ADDRESS_SIGNS.get(part) or (english.digits(part) if part.isdigit() else say_word(part)) for part in parts]
    return " ".join(word for word in said if word.strip())


# Looked for only where what may stand before the @ begins: a long word costs its length, not its square.
_MAIL = r"(?<![\w.+-])[_.+-]*(?P<n>[A-Za-z0-9][\w.+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)"
_NAMES = "|".join(sorted(_ABBREVIATIONS, key=len, reverse=True))
RULES: tuple[Rule, ...] = (
    Rule(re.compile(_MAIL, re.ASCII), _address, "en"),
    Rule(re.compile(r"(?:https?://|www\.)[\w./?=&#%~@:+-]*[\w/]", re.ASCII), _address, "en"),
    Rule(re.compile(r"\b[A-Z]{1,3}(?:&[A-Z]{1,3})+\b", re.ASCII), _joined_initials, "en"),
    Rule(re.compile(r"\be\.g\.", re.IGNORECASE | re.ASCII), lambda _match, _say: "for example", "en"),
    Rule(re.compile(r"\bi\.e\.", re.IGNORECASE | re.ASCII), lambda _match, _say: "that is", "en"),
    Rule(re.compile(r"(?<!\d)(?<!\d )\b(?:[A-Za-z]\.){2,}", re.ASCII), _spelled, "en"),
    Rule(
        re.compile(rf"\b(?P<word>{_NAMES})\.(?!\d)(?!\s\d)|\b(?P<word2>vs)\b", re.ASCII),
        lambda m, _: _ABBREVIATIONS[m["word"] or "vs"],
        "en",
    ),
)
