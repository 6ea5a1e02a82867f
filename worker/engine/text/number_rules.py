"""How numbers and what stands with them are written, in the order in which the readings are tried."""

import re
from collections.abc import Callable

from worker.engine.text import english
from worker.engine.text.language import Language
from worker.engine.text.quantities import Moment, Money
from worker.engine.text.rules import Reader, Rule


def _rule(pattern: str, read: Callable[[re.Match[str], Reader], str], language: Language | None = None) -> Rule:
    return Rule(re.compile(pattern, re.ASCII), read, language)  # ASCII: \b stands beside a Han character


def _alternatives(words: dict[str, str] | dict[str, tuple[str, str, str]]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_ALONE = r"(?<![\d.,])"  # no other number ends here
_MINUS = r"(?P<minus>(?<![\w)\]）%])-)?"
_DASH = r"\s?[-–—~～]\s?"
_MONTH = f"(?P<month>{'|'.join(english.MONTHS)}|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\\b\\.?)"
_YEAR = r"(?:1[1-9]\d\d|20\d\d)"
_SCALE = r"(?:\s?(?P<scale>thousand|million|billion|trillion|万亿|千万|百万|万|亿|千|bn|[kKMB])(?![A-Za-z]))?"
_SIGN = r"(?P<currency>US\$|HK\$|NT\$|C\$|A\$|[$€£¥₩])"
# 20€ 30€ and 20 € 30 €, but not in 2020 €5
_SIGN_BEHIND = rf"(?:|\s(?=.(?!\s?\d|\w)|.\s{_NUMBER}\s?[$€£¥₩]))(?P<currency>[$€£¥₩])(?!\d)"
_CODE = r"(?P<currency>USD|RMB|CNY|EUR|GBP|JPY|HKD|KRW|CHF)"
_UNIT = f"(?P<unit>{_alternatives(english.UNITS)})(?![A-Za-z0-9²³/])"
_MEASURE = "个只条张本名位件台辆次年天周种家座倍层岁张页章节块元角支瓶杯口斤两公米吨升小点秒百千万亿者边人"


def _signed(match: re.Match[str], say: Reader, words: str) -> str:
    return say.negative(words) if match["minus"] else words


def _money(match: re.Match[str], say: Reader) -> str:
    return _signed(match, say, say.money(Money(match["number"], match["currency"], match["scale"] or "")))


def _time(match: re.Match[str], say: Reader) -> str:
    found = match.groupdict()
    half = f"{found['half'].lower()}m" if found.get("half") else ""
    return say.time(Moment(match["hour"], found.get("minute") or "", found.get("second") or "", half))


def _month_date(match: re.Match[str], _: Reader) -> str:
    month = next(name for name in english.MONTHS if name.startswith(match["month"][:3]))
    found = match.groupdict()
    year = f" {english.year(found['year'])}" if found.get("year") else ""
    if not found.get("day"):
        return month + year
    if match.start("day") < match.start("month"):
        return f"the {english.ordinal(found['day'])} of {month}{year}"
    return f"{month} {english.ordinal(found['day'])}{year}"


def _plain_number(match: re.Match[str], say: Reader) -> str:
    number = match["number"]
    is_code = len(number) >= 9 and number.isdigit() and not number.endswith("000")
    return _signed(match, say, say.digits(number) if is_code else say.decimal(number))


def _fraction(match: re.Match[str], say: Reader) -> str:
    top, bottom = match["top"], match["bottom"]
    if int(top) < int(bottom) and int(bottom) >= 2:
        return say.fraction(top, bottom)
    return (
        f"{say.cardinal(top)} {say.SYMBOLS['/']} {say.cardinal(bottom)}"
        if say is english
        else say.fraction(top, bottom)
    )


def _mixed_number(match: re.Match[str], say: Reader) -> str:
    gap = " " if say is english else ""
    return gap.join([say.cardinal(match["whole"]), say.LINKS["and"], say.SYMBOLS[match["part"]]])


_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50}


def _roman(match: re.Match[str], _: Reader) -> str:
    values = [_ROMAN[letter] for letter in match["n"]]
    total = sum(-v if v < max(values[i:]) else v for i, v in enumerate(values))
    return english.ordinal(str(total)) if match["king"] else english.cardinal(str(total))


_PHONES = (
    r"\+\d[\d -]{6,}\d",
    r"(?<!\d)1[3-9]\d([- ]?)\d{4}\1\d{4}(?!\d)",
    r"(?<!\d)0\d{2,3}-\d{7,8}(?!\d)",
    r"(?<!\d)[48]00-\d{3,4}-\d{3,4}(?!\d)",
    r"(?<!\d)(?:\(\d{3}\)\s?|\d{3}[- .])\d{3}[- .]\d{4}(?!\d)",
    r"(?<![\d-])\d{3}-\d{4}(?![\d-])",
)
_CODES = """验证码 卡号 QQ \\bID 号码 编号 单号 电话 账号 密码 学号 邮编 门牌号 PIN code Code ZIP zip password extension
ext\\.?"""
_CODE_WORDS = "|".join(_CODES.split())
_CUES = """in In since Since until till before after by By of from From year early late mid to and around summer fall
spring winter"""
_YEAR_CUES = "|".join(_CUES.split())


def _year(match: re.Match[str], say: Reader) -> str:
    return english.year(match["n"]) if say is english else say.cardinal(match["n"])


def _between(left: str, word: str, right: str, say: Reader) -> str:
    return (" " if say is english else "").join(filter(None, [left, word, right]))


def _percent_range(low: str, high: str, say: Reader) -> str:
    if say is english:
        return f"{say.decimal(low)} to {say.percent(high)}"
    return f"{say.percent(low)}到{say.decimal(high)}"


def _scientific(match: re.Match[str], say: Reader) -> str:
    power = say.power("10", match["exponent"].removeprefix("+"))
    words = _between(say.decimal(match["number"]), say.SYMBOLS["×"], power, say)
    unit = say.unit("0", match["unit"]).removeprefix(say.cardinal("0")) if match["unit"] else ""
    return _signed(match, say, words + unit)


RULES: tuple[Rule, ...] = (
    # 1e-5, before a rule for its 1 or its 5; without a sign it may be a name
    _rule(
        rf"{_MINUS}(?<![\w.,])(?P<number>\d+(?:\.\d+)?)[eE](?P<exponent>[-+]\d{{1,3}})(?:\s?{_UNIT}|(?!\w|\.\d))",
        _scientific,
    ),
    # Dates
    _rule(
        _ALONE
        + rf"(?P<year>{_YEAR})(?P<sep>[-/.])(?P<month>0?[1-9]|1[0-2])(?P=sep)(?P<day>0?[1-9]|[12]\d|3[01])(?!\.?\d)",
        lambda m, say: say.date(m["year"], m["month"], m["day"]),
    ),
    _rule(
        _ALONE + r"(?P<month>0?[1-9]|1[0-2])/(?P<day>0?[1-9]|[12]\d|3[01])/(?P<year>\d{4})(?!\d)",
        lambda m, say: say.date(m["year"], m["month"], m["day"]),
    ),
    _rule(rf"{_ALONE}(?P<n>{_YEAR}|[01]\d{{3}}|0\d)(?=\s?年)", lambda m, say: say.digits(m["n"]), "zh"),
    _rule(
        rf"\b{_MONTH}\s+(?P<day>[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?(?:,?\s+(?P<year>{_YEAR}))?(?![\d:%]|[.,]\d)\b",
        _month_date,
        "en",
    ),
    _rule(
        rf"\b(?:the\s+)?(?P<day>[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH}(?:,?\s+(?P<year>{_YEAR}))?(?!\w)",
        _month_date,
        "en",
    ),
    _rule(rf"\b{_MONTH},?\s+(?P<year>{_YEAR})\b", _month_date, "en"),
    _rule(r"(?<![\d.,])['’]?(?P<decade>\d{3}0|\d0)s\b", lambda m, _: english.decade(m["decade"]), "en"),
    # Times and ratios
    _rule(
        r"(?<![\d:.])(?P<hour>[01]?\d|2[0-4])[:：](?P<minute>[0-5]\d)(?:[:：](?P<second>[0-5]\d))?(?:\s?(?P<half>[aApP])\.?[mM]\b\.?)?(?![\d:])",
        _time,
    ),
    _rule(r"(?<![\d:.])(?P<hour>1[0-2]|0?[1-9])\s?(?P<half>[aApP])\.?[mM]\b\.?", _time),
    _rule(
        r"(?<![\d:])(?P<a>\d+)\s?[:：]\s?(?P<b>\d+)(?![\d:])",
        lambda m, say: _between(say.cardinal(m["a"]), say.LINKS["ratio"], say.cardinal(m["b"]), say),
    ),
    # Telephone numbers and codes
    *(_rule(pattern, lambda m, say: say.phone(m[0])) for pattern in _PHONES),
    _rule(
        rf"(?:{_CODE_WORDS})\s*(?:(?:是|为|is|was|:|：)\s*)?(?P<n>\d{{3,}})(?![\d.,]*\d)",
        lambda m, say: say.digits(m["n"]),
    ),
    # Money
    _rule(rf"{_MINUS}{_ALONE}(?<![$€£¥₩])(?P<number>{_NUMBER}){_SCALE}{_SIGN_BEHIND}", _money),
    _rule(rf"{_MINUS}{_SIGN}\s?(?P<number>{_NUMBER}){_SCALE}(?:(?<=[\d万亿])元)?", _money),
    _rule(rf"{_MINUS}\b{_CODE}\s?(?P<number>{_NUMBER}){_SCALE}", _money),
    _rule(rf"{_MINUS}{_ALONE}(?P<number>{_NUMBER}){_SCALE}\s?{_CODE}\b", _money),
    # Percent
    _rule(rf"{_ALONE}(?P<a>{_NUMBER}){_DASH}(?P<b>{_NUMBER})\s?%", lambda m, say: _percent_range(m["a"], m["b"], say)),
    _rule(rf"{_MINUS}{_ALONE}(?P<number>{_NUMBER})\s?%", lambda m, say: _signed(m, say, say.percent(m["number"]))),
    _rule(rf"{_MINUS}{_ALONE}(?P<number>{_NUMBER})\s?‰", lambda m, say: _signed(m, say, say.permille(m["number"]))),
    # Versions, powers, units
    _rule(r"(?<![\d.])\d+(?:\.\d+){2,}(?!\d)|(?<=[vV])\d+(?:\.\d+)+", lambda m, say: say.version(m[0])),
    _rule(
        r"(?<![\d.])(?P<base>\d+(?:\.\d+)?)\^(?P<exponent>-?\d+)", lambda m, say: say.power(m["base"], m["exponent"])
    ),
    _rule(
        rf"{_MINUS}{_ALONE}(?P<number>{_NUMBER})\s?{_UNIT}",
        lambda m, say: _signed(m, say, say.unit(m["number"], m["unit"])),
    ),
    _rule(
        rf"{_ALONE}(?P<number>\d+(?:\.\d+)?k|\d{{2,}}(?:\.\d+)?K)(?![A-Za-z])",
        lambda m, say: say.scaled(m["number"][:-1], "k"),
    ),
    # Ordinals, fractions, numerals
    _rule(r"\b(?P<number>\d+)(?:st|nd|rd|th)\b", lambda m, _: english.ordinal(m["number"]), "en"),
    _rule(r"(?<=第)\d+", lambda m, say: say.cardinal(m[0]), "zh"),
    _rule(r"(?:\bNo\.\s?|\bno\.\s?|№\s?|#)(?P<number>\d+)(?![\d.])", lambda m, say: say.numbered(m["number"])),
    _rule(r"(?<![\d/.])24/7(?![\d/.])", lambda _, say: _between(say.cardinal("24"), "", say.cardinal("7"), say)),
    _rule(r"(?<![\d/.])(?P<top>\d{1,3})/(?P<bottom>[1-9]\d{0,3})(?![\d/.]*\d)", _fraction),
    _rule(r"(?<![\d.])(?P<whole>\d+)\s?(?P<part>[½⅓⅔¼¾])", _mixed_number),
    _rule(
        r"\b(?:Chapter|Part|Volume|Act|Section|Book|Phase|Type|War|(?P<king>Louis|Henry|Charles|Edward|George|Elizabeth|William))"
        r"\s+(?P<n>[IVXL]+)\b",
        _roman,
        "en",
    ),
    # Years in English; Chinese marks its own with 年
    _rule(rf"\b(?:{_YEAR_CUES})\s+(?P<n>{_YEAR})(?![\d.,%]*\d)(?!\s?[%°])", _year, "en"),
    _rule(rf"{_ALONE}(?P<n>{_YEAR})(?=[-–—]{_YEAR}(?!\d))", _year),
    _rule(rf"(?<=\d\d\d\d[-–—])(?P<n>{_YEAR})(?!\d)", _year),
    _rule(rf"{_ALONE}(?P<n>19\d\d|20[1-9]\d)(?![\d.,]*\d)(?!\s?[a-z]+s\b)", _year),
    # Signs between numbers
    _rule(r"比分[^\d。，]{0,6}\d+(?P<n>\s?[-–—]\s?)\d", lambda _, say: say.LINKS["ratio"]),
    _rule(r"\d\s?(?P<n>-)\s?\d+\s?=", lambda _, say: say.SYMBOLS["-"]),
    _rule(r"(?<=[\d%元亿万])\s?[-–—~～]\s?(?=[\d$€£¥])", lambda _, say: say.LINKS["to"]),
    _rule(r"(?<=\d)\s?[*xX]\s?(?=\d)", lambda _, say: say.SYMBOLS["*"]),
    _rule(r"(?<=\d)\s?/\s?(?=\d)", lambda _, say: say.SYMBOLS["/"]),
    _rule(r"[~～](?=\d)", lambda _, say: say.LINKS["about"]),
    _rule(r"(?<=[a-z0-9])\.(?=[a-z])", lambda _, say: say.LINKS["dot"]),
    # Plain numbers
    _rule(rf"(?<![\d.,])2(?=[{_MEASURE}])(?!\d)", lambda m, say: say.counted(m[0])),
    _rule(r"(?<=[A-Za-z])\d{3,}(?![\d.,]*\d)", lambda m, say: say.digits(m[0])),
    _rule(r"(?<![\d.,])0\d+(?![\d.])", lambda m, say: say.digits(m[0])),
    _rule(rf"{_MINUS}(?P<number>{_NUMBER}|(?<!\w)\.\d+)", _plain_number),
)
