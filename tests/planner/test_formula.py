"""KEDA's formulas."""

import math

import pytest

from planner.errors import PlanError
from planner.formula import parse

LANE = {"total": 30.0, "ready": 26.0, "floor": 2.0, "late": 7.0}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("max(total / 5, total - ready)", 6),
        ("max(total / 10, total - ready)", 4),
        ("max([total / 5, total - ready], 7)", 7),
        ("late > 5 ? min(total, 2 * (total - ready)) : 0", 8),
        ("late > 9 ? 1 : late > 5 ? 2 : 3", 2),
        ("1 + 2 * 3 - 4 / 2", 5),
        ("10 - 3 - 2", 5),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("7 % 4", 3),
        ("ceil(1.2) + floor(1.8) + round(2.5) + abs(-1)", 7),
        ("total >= 30 && ready < 26 ? 1 : 2", 2),
        ("total == 30 and not (ready < 26) or false_alarm > 0 ? 1 : 2", 1),
        ("sum(total, ready)", 56),
        (".5 + 1.", 1.5),
    ],
)
def test_a_formula_is_computed_as_expr_does(text: str, value: float) -> None:
    assert parse(text)({**LANE, "false_alarm": 0}) == value


def test_a_division_by_nothing_is_no_error_but_infinite() -> None:
    assert parse("total / 0")(LANE) == math.inf
    assert parse("-total / 0")(LANE) == -math.inf
    assert math.isnan(parse("0 / 0")(LANE))


def test_a_formula_tells_which_triggers_it_names() -> None:
    assert parse("max(total / 5, late > 5 ? min(total, ready) : 0)").names == {"total", "late", "ready"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("total / ", "has its end where a number, a trigger's name, a function or ( should be"),
        ("max(total, ready", "has its end where ',' should be"),
        ("total ready", "has 'ready' at character 7 where an operator or the end should be"),
        ("total & ready", "has '&' at character 7"),
        ("median(total)", "calls median; the planner knows max, min"),
        ("abs(total, ready)", "gives abs 2 values; it takes one"),
        ("total > 1 ? 2", "has its end where ':' should be"),
        ("", "has its end where"),
        ("__import__('os')", 'has "\'" at character 12'),
    ],
)
def test_what_can_t_be_read_is_named(text: str, said: str) -> None:
    with pytest.raises(PlanError) as raised:
        parse(text)
    assert said in str(raised.value)
