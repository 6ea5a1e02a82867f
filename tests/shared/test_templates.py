"""Templates: what may stand in them, and what they become."""

import pytest

from shared.errors import InvalidTemplate, MissingVariable, TextTooLong, UnknownVariable
from shared.templates import filled, pieces_of


@pytest.mark.parametrize(
    ("template", "variables", "text"),
    [
        ("Dear {name}!", {"name": "Anna"}, "Dear Anna!"),
        ("{姓名}，新年快乐！{姓名}！", {"姓名": "小明"}, "小明，新年快乐！小明！"),
        ("{n} of {total}, {{not}} a name", {"n": 1, "total": 2.5}, "1 of 2.5, {not} a name"),
        ("{name}", {"name": "{other}"}, "{other}"),
        ("plain", {}, "plain"),
    ],
)
def test_names_become_what_the_line_says(template: str, variables: dict[str, str | int | float], text: str) -> None:
    assert filled(template, variables, longest=100) == text


@pytest.mark.parametrize("template", ["{", "}", "{}", "{0}", "{a.b}", "{a[0]}", "{a!r}", "{a:>10}", "{a b}", "{ a }"])
def test_what_is_no_name_is_no_template(template: str) -> None:
    with pytest.raises(InvalidTemplate):
        pieces_of(template)


def test_variables_have_to_be_those_of_the_template() -> None:
    with pytest.raises(MissingVariable, match="a, c"):
        filled("{a}{b}{c}", {"b": "x"}, longest=100)
    with pytest.raises(UnknownVariable, match=r"no d stands .* it has a"):
        filled("{a}", {"a": "x", "d": "y"}, longest=100)


def test_a_text_that_would_be_too_long_is_never_made() -> None:
    with pytest.raises(TextTooLong, match="30000000000 characters"):  # it would not fit into memory
        filled("{a}" * 30_000, {"a": "x" * 1_000_000}, longest=100_000)
