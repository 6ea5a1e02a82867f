"""What the readers of both languages are told about a number."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Money:
    """An amount: its number as written, a scale word such as million, and the sign or code of the currency."""

    number: str
    currency: str
    scale: str = ""


@dataclass(frozen=True)
class Moment:
    """A time of day, as written; `half` is am, pm or nothing."""

    hour: str
    minute: str = ""
    second: str = ""
    half: str = ""


def decimal_parts(number: str) -> tuple[str, str]:
    """Whole and fractional digits of "1,234.50"."""
    whole, _, fraction = number.replace(",", "").partition(".")
    return whole or "0", fraction
