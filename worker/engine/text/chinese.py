"""Numbers and what stands with them, in Mandarin words. Each function returns Han characters only."""

from worker.engine.text.quantities import Moment, Money, decimal_parts

DIGITS = "零一二三四五六七八九"
_GROUPS = ("", "万", "亿", "万亿")

# Tables read better in rows.
# fmt: off
UNITS = {
    "km": "公里", "m": "米", "cm": "厘米", "mm": "毫米", "nm": "纳米", "μm": "微米", "µm": "微米", "kg": "千克",
    "g": "克", "mg": "毫克", "t": "吨", "lb": "磅", "oz": "盎司", "ft": "英尺", "mi": "英里", "l": "升", "L": "升",
    "ml": "毫升", "mL": "毫升", "ha": "公顷", "px": "像素", "km/h": "公里每小时", "m/s": "米每秒",
    "mph": "英里每小时", "kbps": "千比特每秒", "Mbps": "兆比特每秒", "°C": "摄氏度", "℃": "摄氏度", "°F": "华氏度",
    "℉": "华氏度", "°": "度", "B": "字节", "KB": "千字节", "MB": "兆字节", "GB": "吉字节", "TB": "太字节",
    "Hz": "赫兹", "kHz": "千赫兹", "MHz": "兆赫兹", "GHz": "吉赫兹", "dB": "分贝", "W": "瓦", "kW": "千瓦",
    "MW": "兆瓦", "kWh": "千瓦时", "V": "伏", "mAh": "毫安时", "s": "秒", "ms": "毫秒", "min": "分钟", "h": "小时",
    "m²": "平方米", "m2": "平方米", "km²": "平方公里", "km2": "平方公里", "m³": "立方米",
}
CURRENCIES = {
    "$": "美元", "US$": "美元", "USD": "美元", "HK$": "港元", "HKD": "港元", "€": "欧元", "EUR": "欧元",
    "£": "英镑", "GBP": "英镑", "¥": "元", "RMB": "元", "CNY": "元", "JPY": "日元", "₩": "韩元", "KRW": "韩元",
    "C$": "加元", "A$": "澳元", "CHF": "瑞士法郎", "NT$": "新台币",
}
SCALES = {"k": "千", "K": "千", "thousand": "千", "M": "百万", "million": "百万", "m": "百万"} | {
    "B": "十亿", "bn": "十亿", "billion": "十亿", "万": "万", "亿": "亿", "千": "千", "百万": "百万",
    "万亿": "万亿", "trillion": "万亿", "千万": "千万",
}
SYMBOLS = {
    "%": "百分号", "‰": "千分号", "&": "和", "+": "加", "=": "等于", "@": "艾特", "#": "井号", "$": "美元",
    "€": "欧元", "£": "英镑", "¥": "元", "₩": "韩元", "×": "乘", "÷": "除以", "±": "正负", "°": "度", "℃": "摄氏度",
    "℉": "华氏度", "√": "根号", "∞": "无穷大", "≈": "约等于", "≠": "不等于", "≤": "小于等于", "≥": "大于等于",
    "<": "小于", ">": "大于", "©": "版权", "®": "注册商标", "™": "商标", "§": "章节", "№": "第", "²": "平方",
    "³": "立方", "½": "二分之一", "⅓": "三分之一", "⅔": "三分之二", "¼": "四分之一", "¾": "四分之三", "*": "乘",
    "/": "除以", "^": "的", "-": "减",
}
# fmt: on
LINKS = {"to": "到", "ratio": "比", "about": "大约", "dot": "点", "and": "又"}


def cardinal(number: str) -> str:
    """Whole numbers below 10^16 as a quantity; longer ones digit by digit."""
    number = number.lstrip("0") or "0"
    if len(number) > 16:
        return digits(number)
    groups = [number[max(0, end - 4) : end] for end in range(len(number), 0, -4)]  # lowest first
    words = ""
    for position, group in reversed(list(enumerate(groups))):
        if int(group) == 0:
            continue
        skipped = position + 1 < len(groups) and int(groups[position + 1]) == 0
        gap = "零" if words and (int(group) < 1000 or skipped) else ""
        words += gap + _below_ten_thousand(group, first=not words, scaled=position > 0) + _GROUPS[position]
    return words or "零"


def _below_ten_thousand(group: str, *, first: bool, scaled: bool) -> str:
    value = int(group)
    if first and scaled and value == 2:
        return "两"  # 两万, 两亿
    words, pending_zero = "", False
    for place, digit in zip(reversed(range(len(str(value)))), str(value), strict=True):
        if digit == "0":
            pending_zero = bool(words)
            continue
        name = "两" if digit == "2" and place == 3 else DIGITS[int(digit)]
        words += ("零" if pending_zero else "") + name + ("", "十", "百", "千")[place]
        pending_zero = False
    return words.removeprefix("一") if first and 10 <= value < 20 else words


def digits(number: str) -> str:
    return "".join(DIGITS[int(digit)] for digit in number if digit.isdigit())


def phone(number: str) -> str:
    return digits(number).replace("一", "幺")


def decimal(number: str) -> str:
    whole, fraction = decimal_parts(number)
    return cardinal(whole) + ("点" + digits(fraction) if fraction else "")


def counted(number: str) -> str:
    """Before a measure word: 2个 is 两个."""
    return "两" if number == "2" else decimal(number)


def ordinal(number: str) -> str:
    return "第" + cardinal(number)


def year(number: str) -> str:
    return digits(number)


def decade(number: str) -> str:
    return (digits(number) if len(number) == 4 else cardinal(number)) + "年代"


def date(year_: str, month: str, day: str) -> str:
    return (f"{digits(year_)}年" if year_ else "") + f"{cardinal(month)}月{cardinal(day)}日"


def time(moment: Moment) -> str:
    part = {"am": "上午", "pm": "下午"}.get(moment.half, "")
    words = f"{part}{counted(str(int(moment.hour)))}点"
    if int(moment.minute or 0) or moment.second:
        words += _padded(moment.minute) + "分"
    if moment.second:
        words += _padded(moment.second) + "秒"
    return words


def _padded(number: str) -> str:
    return ("零" if number.startswith("0") and number != "00" else "") + cardinal(number)


def money(amount: Money) -> str:
    return decimal(amount.number) + SCALES.get(amount.scale, "") + CURRENCIES[amount.currency]


def scaled(number: str, scale: str) -> str:
    return decimal(number) + SCALES[scale]


def percent(number: str) -> str:
    return "百分之" + ("百" if number == "100" else decimal(number))


def permille(number: str) -> str:
    return "千分之" + decimal(number)


def unit(number: str, name: str) -> str:
    return counted(number) + UNITS[name]


def fraction(numerator: str, denominator: str) -> str:
    return f"{cardinal(denominator)}分之{cardinal(numerator)}"


def version(number: str) -> str:
    return "点".join(cardinal(part) for part in number.split("."))


def negative(words: str) -> str:
    return "负" + words


def power(base: str, exponent: str) -> str:
    minus = "负" if exponent.startswith("-") else ""
    return f"{decimal(base)}的{minus}{cardinal(exponent.removeprefix('-'))}次方"


def numbered(number: str) -> str:
    return cardinal(number) + "号"
