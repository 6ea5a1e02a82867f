"""Numbers and what stands with them, in American English words. Each function returns words of ASCII letters."""

from worker.engine.text.quantities import Moment, Money, decimal_parts

_BELOW_TWENTY = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen"""
_ONES = _BELOW_TWENTY.split()
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_GROUPS = ("", " thousand", " million", " billion", " trillion")
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_MONTH_NAMES = "January February March April May June July August September October November December"
MONTHS = _MONTH_NAMES.split()

# Tables read better in rows.
# fmt: off
UNITS = {  # singular; the plural takes an s at the end of the first word, or is listed below
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer", "μm": "micrometer",
    "µm": "micrometer", "mi": "mile", "ft": "foot", "px": "pixel", "ha": "hectare", "kg": "kilogram", "g": "gram",
    "mg": "milligram", "t": "ton", "lb": "pound", "oz": "ounce", "l": "liter", "L": "liter", "ml": "milliliter",
    "mL": "milliliter", "km/h": "kilometer per hour", "m/s": "meter per second", "mph": "mile per hour",
    "kbps": "kilobit per second", "Mbps": "megabit per second", "°C": "degree Celsius", "℃": "degree Celsius",
    "°F": "degree Fahrenheit", "℉": "degree Fahrenheit", "°": "degree", "B": "byte", "KB": "kilobyte",
    "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte", "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz",
    "GHz": "gigahertz", "dB": "decibel", "W": "watt", "kW": "kilowatt", "MW": "megawatt", "kWh": "kilowatt hour",
    "V": "volt", "mAh": "milliamp hour", "s": "second", "ms": "millisecond", "min": "minute", "h": "hour",
    "m²": "square meter", "m2": "square meter", "m³": "cubic meter", "km²": "square kilometer",
    "km2": "square kilometer",
}
CURRENCIES = {  # one, many, hundredth
    **dict.fromkeys(("$", "USD"), ("dollar", "dollars", "cent")),
    "US$": ("U S dollar", "U S dollars", "cent"),
    **dict.fromkeys(("HK$", "HKD"), ("Hong Kong dollar", "Hong Kong dollars", "cent")),
    "C$": ("Canadian dollar", "Canadian dollars", "cent"), "A$": ("Australian dollar", "Australian dollars", "cent"),
    "NT$": ("Taiwan dollar", "Taiwan dollars", "cent"),
    **dict.fromkeys(("€", "EUR"), ("euro", "euros", "cent")),
    **dict.fromkeys(("£", "GBP"), ("pound", "pounds", "penny")),
    **dict.fromkeys(("¥", "RMB", "CNY"), ("yuan", "yuan", "")),
    "JPY": ("yen", "yen", ""),
    **dict.fromkeys(("₩", "KRW"), ("won", "won", "")),
    "CHF": ("Swiss franc", "Swiss francs", ""),
}
SCALES = {"k": "thousand", "K": "thousand", "M": "million", "m": "million", "B": "billion", "bn": "billion"} | {
    **{word: word for word in ("thousand", "million", "billion", "trillion")},
    "万": "ten thousand", "亿": "hundred million", "千": "thousand", "百万": "million", "千万": "ten million",
    "万亿": "trillion",
}
SYMBOLS = {
    "%": "percent", "‰": "per mille", "&": "and", "+": "plus", "=": "equals", "@": "at",
    "#": "hash",
    "$": "dollar", "€": "euro", "£": "pound", "¥": "yuan", "₩": "won", "×": "times", "÷": "divided by",
    "±": "plus or minus", "°": "degrees", "℃": "degrees Celsius", "℉": "degrees Fahrenheit", "√": "root",
    "∞": "infinity", "≈": "approximately", "≠": "not equal to", "≤": "at most", "≥": "at least", "<": "less than",
    ">": "greater than", "©": "copyright", "®": "registered", "™": "trademark", "§": "section", "№": "number",
    "²": "squared", "³": "cubed", "½": "one half", "⅓": "one third", "⅔": "two thirds", "¼": "one quarter",
    "¾": "three quarters", "*": "times", "/": "over", "-": "minus",
}
# fmt: on
LINKS = {"to": "to", "ratio": "to", "about": "about", "dot": "dot", "and": "and"}


def cardinal(number: str) -> str:
    """Whole numbers below 10^15 as a quantity; longer ones digit by digit."""
    number = number.lstrip("0") or "0"
    if len(number) > 15:
        return digits(number)
    groups = [int(number[max(0, end - 3) : end]) for end in range(len(number), 0, -3)]
    words = [_below_thousand(group) + _GROUPS[n] for n, group in reversed(list(enumerate(groups))) if group]
    return " ".join(words) or "zero"


def _below_thousand(value: int) -> str:
    if value >= 100:
        rest = f" {_below_thousand(value % 100)}" if value % 100 else ""
        return f"{_ONES[value // 100]} hundred{rest}"
    if value < 20:
        return _ONES[value]
    return _TENS[value // 10] + (f" {_ONES[value % 10]}" if value % 10 else "")


def digits(number: str) -> str:
    return " ".join(_ONES[int(digit)] for digit in number if digit.isdigit())


def phone(number: str) -> str:
    return digits(number)


def decimal(number: str) -> str:
    whole, fraction = decimal_parts(number)
    return cardinal(whole) + (f" point {digits(fraction)}" if fraction else "")


def counted(number: str) -> str:
    return decimal(number)


def ordinal(number: str) -> str:
    *head, last = cardinal(number).split()
    regular = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    return " ".join([*head, _ORDINALS.get(last, regular)])


def year(number: str) -> str:
    """1984 -> nineteen eighty four, 1905 -> nineteen oh five, 2008 -> two thousand eight."""
    high, low = int(number[:-2]), int(number[-2:])
    if len(number) != 4 or (high % 10 == 0 and low < 10):
        return cardinal(number)
    if low == 0:
        return f"{cardinal(str(high))} hundred"
    return f"{cardinal(str(high))} {'oh ' if low < 10 else ''}{cardinal(str(low))}"


def decade(number: str) -> str:
    words = year(number) if len(number) == 4 else cardinal(number)
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def date(year_: str, month: str, day: str) -> str:
    return f"{MONTHS[int(month) - 1]} {ordinal(day)}" + (f" {year(year_)}" if year_ else "")


def time(moment: Moment) -> str:
    hour, minute, half = cardinal(moment.hour), int(moment.minute or 0), " ".join(moment.half.upper())
    if minute:
        words = f"{hour} {'oh ' if minute < 10 else ''}{cardinal(str(minute))}"
    else:
        words = hour if half else f"{hour} o'clock" if int(moment.hour) <= 12 else f"{hour} hundred hours"
    if moment.second:
        words += f" and {_plural(cardinal(moment.second), 'second')}"
    return f"{words} {half}".rstrip()


def _plural(words: str, noun: str) -> str:
    return f"{words} {noun}" if words == "one" else f"{words} {noun}s"


def money(amount: Money) -> str:
    one, many, hundredth = CURRENCIES[amount.currency]
    whole, cents = decimal_parts(amount.number)
    if amount.scale:
        return f"{scaled(amount.number, amount.scale)} {many}"
    if len(cents) != 2 or not hundredth:
        return f"{decimal(amount.number)} {one if decimal(amount.number) == 'one' else many}"
    whole = whole.lstrip("0")
    parts = [f"{cardinal(whole)} {one if whole == '1' else many}"] if whole or not int(cents) else []
    if int(cents):
        small = "pence" if hundredth == "penny" and int(cents) > 1 else hundredth + "s" * (int(cents) > 1)
        parts.append(f"{cardinal(cents)} {small}")
    return " and ".join(parts)


def scaled(number: str, scale: str) -> str:
    return f"{decimal(number)} {SCALES[scale]}"


def percent(number: str) -> str:
    return f"{decimal(number)} percent"


def permille(number: str) -> str:
    return f"{decimal(number)} per mille"


def unit(number: str, name: str) -> str:
    words, noun = decimal(number), UNITS[name]
    if words == "one" or noun.endswith("hertz"):
        return f"{words} {noun}"
    if noun == "foot":
        return f"{words} feet"
    head, *rest = noun.split(" ")
    if head in {"square", "cubic", "kilowatt", "milliamp"}:
        return f"{words} {noun}s"
    return " ".join([words, head + "s", *rest])


def fraction(numerator: str, denominator: str) -> str:
    top = cardinal(numerator)
    noun = {"2": "half", "4": "quarter"}.get(denominator) or ordinal(denominator)
    if top == "one":
        return f"one {noun}"
    return f"{top} {'halves' if noun == 'half' else noun + 's'}"


def version(number: str) -> str:
    return " point ".join(cardinal(part) for part in number.split("."))


def negative(words: str) -> str:
    return f"minus {words}"


def power(base: str, exponent: str) -> str:
    if exponent.startswith("-"):
        return f"{decimal(base)} to the minus {cardinal(exponent[1:])}"
    return f"{decimal(base)} to the power of {cardinal(exponent)}"


def numbered(number: str) -> str:
    return f"number {cardinal(number)}"
