"""The formula of a ScaledObject's scalingModifiers: the part of the expr language that arithmetic on triggers needs.

Numbers, names of triggers, + - * / % **, comparisons, && || !, condition ? this : that, lists, and a few functions.
Everything is a float, as in KEDA, which gives its triggers to expr as floats and converts what comes out.

Source: the language definition of expr, https://expr-lang.org/docs/language-definition
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from planner.errors import PlanError

Values = Mapping[str, float]


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    return math.nan if not a or math.isnan(a) else math.copysign(math.inf, a)


FUNCTIONS: Mapping[str, Callable[[list[float]], float]] = {
    "max": max,
    "min": min,
    "sum": math.fsum,
    "abs": lambda values: abs(values[0]),
    "ceil": lambda values: float(math.ceil(values[0])),
    "floor": lambda values: float(math.floor(values[0])),
    "round": lambda values: float(math.floor(values[0] + 0.5)),
    "float": lambda values: values[0],
}
ONE_ARGUMENT = ("abs", "ceil", "floor", "round", "float")

# From the loosest to the tightest. Of one level the left one is computed first, but for **, which has its own rule.
LEVELS: tuple[Mapping[str, Callable[[float, float], float]], ...] = (
    {"||": lambda a, b: float(bool(a) or bool(b)), "or": lambda a, b: float(bool(a) or bool(b))},
    {"&&": lambda a, b: float(bool(a) and bool(b)), "and": lambda a, b: float(bool(a) and bool(b))},
    {
        "==": lambda a, b: float(a == b),
        "!=": lambda a, b: float(a != b),
        "<=": lambda a, b: float(a <= b),
        ">=": lambda a, b: float(a >= b),
        "<": lambda a, b: float(a < b),
        ">": lambda a, b: float(a > b),
    },
    {"+": lambda a, b: a + b, "-": lambda a, b: a - b},
    {"*": lambda a, b: a * b, "/": _divide, "%": math.fmod},
)

TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d*)?|\.\d+)|([A-Za-z_]\w*)|(\*\*|&&|\|\||[<>=!]=|[-+*/%<>!?:(),\[\]]))")


class Token(NamedTuple):
    """A number, a name or a sign, and where it stands."""

    text: str
    at: int


Node = Callable[[Values], float]


@dataclass(frozen=True)
class Formula:
    """A formula that has been read; call it with the triggers' values."""

    text: str
    names: frozenset[str]
    _compute: Node

    def __call__(self, values: Values) -> float:
        """Return the value, infinite or NaN where expr says so: a division by nothing is no error there."""
        return self._compute(values)


def parse(text: str) -> Formula:
    """Read a formula.

    Raises:
        PlanError: it is not of that part of the language.
    """
    parser = _Parser(text)
    return Formula(text, frozenset(parser.names), parser.whole())


def tokens(text: str) -> list[Token]:
    """Return the signs, names and numbers of a formula."""
    found, at = list[Token](), 0
    while text[at:].strip():
        match = TOKEN.match(text, at)
        if not match:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise PlanError(
                f"the formula {text!r} has {text[at]!r} at character {at + 1}, which the planner can't read"
            )
        found.append(Token(match[0].strip(), match.end() - len(match[0].strip())))
        at = match.end()
    return found


class _Parser:
    """Recursive descent: a method for each kind of thing, each returns how to compute it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._next = 0
        self.names = set[str]()
        self._node = self._condition()

    def whole(self) -> Node:
        if self._next < len(self._tokens):
            raise self._unexpected("an operator or the end")
        return self._node

    def _condition(self) -> Node:
        test = self._level(0)
        if not self._take("?"):
            return test
        then = self._condition()
        self._need(":")
        other = self._condition()
        return lambda values: then(values) if test(values) else other(values)

    def _level(self, level: int) -> Node:
        if level == len(LEVELS):
            return self._sign()
        left = self._level(level + 1)
        while operator := self._take(*LEVELS[level]):
            left = _apply(LEVELS[level][operator], left, self._level(level + 1))
        return left

    def _sign(self) -> Node:
        if self._take("-"):
            value = self._sign()
            return lambda values: -value(values)
        if self._take("!", "not"):
            value = self._sign()
            return lambda values: float(not value(values))
        base = self._atom()
        if self._take("**"):
            return _apply(lambda a, b: float(a**b), base, self._sign())
        return base

    def _atom(self) -> Node:
        token = self._token()
        if token is None or not (token.text[0].isalnum() or token.text[0] in "._("):
            raise self._unexpected("a number, a trigger's name, a function or (")
        self._next += 1
        if token.text == "(":
            inside = self._condition()
            self._need(")")
            return inside
        if token.text[0].isdigit() or token.text[0] == ".":
            number = float(token.text)
            return lambda _: number
        if self._take("("):
            return self._call(token.text)
        self.names.add(token.text)
        return lambda values: values[token.text]

    def _call(self, name: str) -> Node:
        if name not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise PlanError(f"the formula {self._text!r} calls {name}; the planner knows {known}")
        arguments = self._list(")")
        if name in ONE_ARGUMENT and len(arguments) != 1:
            raise PlanError(f"the formula {self._text!r} gives {name} {len(arguments)} values; it takes one")
        function = FUNCTIONS[name]
        return lambda values: function([argument(values) for argument in arguments])

    def _list(self, end: str) -> list[Node]:
        """Read what stands between brackets; a list in it counts as its members."""
        found = list[Node]()
        while True:
            found += self._list("]") if self._take("[") else [self._condition()]
            if self._take(end):
                return found
            self._need(",")

    def _token(self) -> Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, *texts: str) -> str:
        token = self._token()
        if token is None or token.text not in texts:
            return ""
        self._next += 1
        return token.text

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise self._unexpected(repr(text))

    def _unexpected(self, wanted: str) -> PlanError:
        token = self._token()
        where = f"{token.text!r} at character {token.at + 1}" if token else "its end"
        return PlanError(f"the formula {self._text!r} has {where} where {wanted} should be")


def _apply(operator: Callable[[float, float], float], left: Node, right: Node) -> Node:
    return lambda values: operator(left(values), right(values))
