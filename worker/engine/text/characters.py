"""What each character is to a reader: a letter, a digit, a mark, a symbol with a name, or nothing it can read.

"Silently" is what this module prevents: a character either sounds, or is listed here as a mark that only shapes the
speech, or is refused by name.
"""

import re
import unicodedata
from collections.abc import Sequence

from worker.engine.errors import UnspeakableText

SENTENCE_ENDS = ".。!！?？"
PAUSES = ",，、;；:：…⋯—–―()（）[]【】〔〕{}｛｝|\n\r"
# Shown, not spoken. Quotes, brackets of titles, hyphens, and typographic ornaments.
SILENT = "\"'“”‘’„‚«»‹›`´「」『』《》〈〉＂＇-‐‑‒_~～〜^*\\/／·・•‧∙●○■□◆◇▲△▼▽►▶◀★☆※†‡¶─━═▪◦➢➤❖♪♫♬✓✔✗✘→←↑↓⇒⇐↔➜"
# Emoji that colour a message and carry no word. Every other emoji is refused: it may carry one.
EMOJI = (
    "☺❤♥💕💖💗💙💚💛💜🧡🖤😀😁😂🤣😃😄😅😆😉😊😋😎😍😘🥰😗😙😚🙂🤗🤩"
    "🤔😐😑😶🙄😏😣😥😮🤐😯😪😫😴😌😛😜😝😒😓😔😕🙃😲☹🙁😖😞😟😤😢😭"
    "😦😧😨😩😬😰😱😳😵😡😠😷😇🥳🥺👍👎👏🙏👋💪👌✌🎉🎊✨🔥🌟⭐🌹🌸💯"
)
IGNORED = "\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0e\ufe0f\u200e\u200f"  # zero width: they have no look and no sound
SPOKEN_SYMBOLS = "%‰&+=@#$€£¥￥₩×÷±°℃℉√∞≈≠≤≥<>©®™§№²³½⅓⅔¼¾"

MARKS = frozenset(SENTENCE_ENDS + PAUSES + SILENT + EMOJI + IGNORED)
_SYMBOLS = frozenset(SPOKEN_SYMBOLS)
_FULLWIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F) if chr(code - 0xFEE0) not in ",.!?;:()[]{}~/\"'"}
_BLANKS = dict.fromkeys((0x3000, 0xA0, 0x202F, 0x2009), " ")
_CIRCLED = {0x2460 + n: str(n + 1) for n in range(20)}  # ① to ⑳
_ROMAN = {0x2160 + n: str(n + 1) for n in range(12)}  # Ⅰ to Ⅻ as single characters
_LIGATURES = {"ﬁ": "fi", "ﬂ": "fl", "㎡": "m²", "㎞": "km", "㎏": "kg", "㎝": "cm", "㎜": "mm"}
_SAME = str.maketrans({"￥": "¥", "￡": "£", "−": "-"} | _LIGATURES) | _FULLWIDTH | _BLANKS | _CIRCLED | _ROMAN
LATIN_LETTER = re.compile("[A-Za-zÀ-ÖØ-öø-ɏḀ-ỿ]")
LATIN_WORD = re.compile("[A-Za-zÀ-ÖØ-öø-ɏḀ-ỿ]+(?:['’][A-Za-zÀ-ÖØ-öø-ɏḀ-ỿ]+)*")
_GREEK = frozenset("αβγδεζηθικλμνξοπρςστυφχψωΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩµ")  # without accents: these have names


def is_han(character: str) -> bool:
    return (
        "\u4e00" <= character <= "\u9fff"
        or "\u3400" <= character <= "\u4dbf"
        or "\U00020000" <= character <= "\U000323af"  # rare ones; a reading is known for most
        or character in "〇々"
    )


def is_latin(character: str) -> bool:
    return LATIN_LETTER.fullmatch(character) is not None


def is_greek(character: str) -> bool:
    return character in _GREEK


def is_mark(character: str) -> bool:
    """Whether it only shapes the speech: blanks, punctuation, ornaments."""
    return character in MARKS or character.isspace()


def tidy(text: str) -> str:
    """Composed letters, one form of digits and Latin letters; the look of a character changes, never what it is."""
    return unicodedata.normalize("NFC", text).translate(_SAME)


def require_readable(text: str) -> None:
    """Check that each character of tidied text sounds or is a mark, and that something sounds.

    Raises:
        UnspeakableText: naming each character that nothing here can read, or the marks when there is nothing else.
    """
    unknown = sorted({character for character in text if not is_readable(character)})
    if unknown:
        raise UnspeakableText(f"no voice here can read {names(unknown)}")
    if all(is_mark(character) for character in text):
        marks = sorted({character for character in text if not character.isspace()})
        raise UnspeakableText(f"nothing can be spoken: the text holds only {names(marks) if marks else 'blanks'}")


def is_readable(character: str) -> bool:
    """Whether a character of tidied text sounds or is a mark."""
    return (
        is_mark(character)
        or is_han(character)
        or (is_latin(character) and plain_latin(character) != "")
        or is_greek(character)
        or character in "0123456789"
        or character in _SYMBOLS
    )


def names(characters: Sequence[str], limit: int = 8) -> str:
    """A list of characters for a message, such as '🚀' (ROCKET)."""
    shown = [f"{c!r} ({unicodedata.name(c, f'U+{ord(c):04X}')})" for c in characters[:limit]]
    return ", ".join(shown) + (f" and {len(characters) - limit} more" if len(characters) > limit else "")


def plain_latin(word: str) -> str:
    """The same word without accents, for programs that know ASCII letters only: naïve -> naive, Straße -> Strasse."""
    expanded = "".join(_EXPANSIONS.get(character, character) for character in word)
    decomposed = unicodedata.normalize("NFKD", expanded)
    return "".join(character for character in decomposed if character.isascii())


_EXPANSIONS = {
    "ß": "ss",
    "ẞ": "SS",
    "æ": "ae",
    "Æ": "AE",
    "œ": "oe",
    "Œ": "OE",
    "ø": "o",
    "Ø": "O",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    "ð": "d",
    "Ð": "D",
    "þ": "th",
    "Þ": "Th",
    "ı": "i",
    "ə": "a",
    "Ə": "A",
    "ŋ": "ng",
}
