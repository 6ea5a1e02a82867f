"""Bytes of an unknown encoding as text."""

import codecs
import re

from books.errors import BrokenBook

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the first half of it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 200_000
# The commonest characters of modern Chinese: those that both scripts share, then each script's own.
_SHARED = "的一是不了在人有我他大上中下小和地要也你到就那子之以出生可天心得自去能多好看然而起成事用方法日本明十道三"
_SIMPLIFIED = _SHARED + "这个们来说时为国会过对发后里没学么见问样还间听开关现长头门爱书边东动让话"
_TRADITIONAL = _SHARED + "這個們來說時為國會過對發後裡沒學麼見問樣還間聽開關現長頭門愛書邊東動讓話"
_COMMON = frozenset(_SIMPLIFIED + _TRADITIONAL)
_PUNCTUATION = frozenset("，。！？：；、“”‘’「」『』《》（）…—　·")
_WESTERN = re.compile(r"(?<![\x80-\uffff])[à-öø-ÿÉÜÖÄÅ‘’“”–—…£€©°½](?![\x80-\uffff])")
_WIDE_ONES = [f"utf_{width}{order}" for width in (7, 16, 32) for order in ("", "_le", "_be")]


def decode(data: bytes, declared: str = "") -> tuple[str, str]:
    """Return the text and the name of its encoding, empty for UTF-8 or what the file itself declares.

    Raises:
        BrokenBook: no encoding makes text of the bytes.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strictly(data, encoding), ""
    if declared and (text := _attempt(data, _wider(declared))) is not None:
        return text, ""
    if (wide := _wide(data)) is not None:
        return _strictly(data, wide), _shown(wide)
    if b"\0" not in data and (text := _attempt(data, "utf-8")) is not None:
        return text, ""
    best = max(("gb18030", "big5hkscs", "cp1252"), key=lambda encoding: _likeness(data, encoding))
    if _likeness(data, best) <= 0:
        best = _guessed(data)
    return _strictly(data, best), _shown(best)


def _strictly(data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise BrokenBook(f"the file is not text in the encoding that it seems to have, {_shown(encoding)}") from error
    return text.removeprefix("\ufeff")


def _attempt(data: bytes, encoding: str) -> str | None:
    try:
        return _strictly(data, encoding)
    except BrokenBook:
        return None


def _wider(declared: str) -> str:
    """Return the encoding that is meant: files that say GB2312 or Big5 use the larger sets."""
    name = declared.strip().lower()
    return {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "iso-8859-1": "cp1252"}.get(name, name)


def _wide(data: bytes) -> str | None:
    """Return UTF-16's kind, if that is what bytes without a mark are.

    Text in it has zeros on one side of the pairs: those of spaces, line ends and Latin letters. Chinese text may have
    none, but its characters come from few of the 256 rows, and its commonest ones tell.
    """
    sample = data[:_SAMPLE]
    if len(data) % 2 or not sample:
        return None
    zeros = [sample[side::2].count(0) for side in (0, 1)]
    if max(zeros) > len(sample) / 8 and min(zeros) < max(zeros) / 20:
        return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    likely = max(("utf-16-le", "utf-16-be"), key=lambda encoding: _likeness(data, encoding))
    others = max(_likeness(data, encoding) for encoding in ("utf-8", "gb18030", "big5hkscs"))
    return likely if _likeness(data, likely) > max(others, 0.1) else None


def _likeness(data: bytes, encoding: str) -> float:
    """Return how much the bytes look like text in an encoding; below 0 if they can't be."""
    sample = data[:_SAMPLE]
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        text = decoder.decode(sample, final=len(sample) == len(data))
    except UnicodeDecodeError:
        return -1.0
    if encoding == "cp1252":
        return _latin_likeness(text)
    outside = [character for character in text if character > "\x7f"]
    if not outside:
        return 0.0
    good = sum((character in _COMMON) + (character in _PUNCTUATION) for character in outside)
    odd = sum(_is_odd(character) for character in outside)
    return (good - 2 * odd) / len(outside) + _pair_likeness(outside, encoding)


def _pair_likeness(outside: list[str], encoding: str) -> float:
    """Return up to 0.2 for characters from the part of a set that is in daily use.

    In GB 2312 that is where both bytes are high, in Big5 the first 5401 characters. A tie is GB 18030's: it is used
    more.
    """
    if encoding not in ("gb18030", "big5hkscs"):
        return 0.0
    pairs = [character.encode(encoding, "replace") for character in outside[:5000]]  # some decode to two
    if encoding == "gb18030":
        daily = sum(0xA1 <= pair[0] <= 0xD7 and pair[-1] >= 0xA1 for pair in pairs)
    else:
        daily = sum(0xA1 <= pair[0] <= 0xC6 for pair in pairs)
    return 0.2 * daily / len(pairs)


def _latin_likeness(text: str) -> float:
    """Return which part of what is not ASCII stands alone between ASCII, as an accent or a dash does."""
    outside = sum(character > "\x7f" for character in text)
    return 0.9 * len(_WESTERN.findall(text)) / outside if outside else 0.0


def _is_odd(character: str) -> bool:
    """Return whether a character hardly stands in a book: for private use, a control, or of scripts far away."""
    return (
        "\ue000" <= character <= "\uf8ff"
        or "\x80" <= character <= "\x9f"
        or "\u3400" <= character <= "\u4dbf"
        or "\u0100" <= character <= "\u1fff"
        or character == "\ufffd"
    )


def _guessed(data: bytes) -> str:
    """Return the encoding that charset-normalizer finds: for what is neither Chinese nor Western."""
    from charset_normalizer import from_bytes

    match = None if b"\0" in data else from_bytes(data[:_SAMPLE], cp_exclusion=_WIDE_ONES).best()
    if match is None:
        raise BrokenBook("the file is not text in any known encoding")
    return match.encoding


def _shown(encoding: str) -> str:
    names = {"gb18030": "GB18030", "big5hkscs": "Big5", "cp1252": "Windows-1252"}
    return names.get(encoding, encoding.upper().replace("_", "-"))
