"""As much of PromQL as the tests have to see: which series an expression names, and by which labels."""

import re
from dataclasses import dataclass

KEYWORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right"}
GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right) \(([^)]*)\)")
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")


@dataclass(frozen=True)
class Named:
    """What an expression names."""

    series: dict[str, set[str]]  # each series, with the labels it is selected by
    grouping: set[str]  # labels that are aggregated or matched by


def named(expression: str) -> Named:
    text = re.sub(r'"[^"]*"', '""', expression)
    series: dict[str, set[str]] = {}
    for name, matchers in SELECTOR.findall(text):
        series.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
    grouping = {label for _, labels in GROUPING.findall(text) for label in re.findall(r"\w+", labels)}
    rest = re.sub(r"\[[^]]*\]|\{[^}]*\}|offset \w+", " ", GROUPING.sub(" ", text))
    for name in re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\w|:|\s*\()", rest):
        if name not in KEYWORDS:
            series.setdefault(name, set())
    return Named(series, grouping)
