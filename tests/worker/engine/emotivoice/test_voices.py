"""The voices table, and what an expression for a voice means."""

from pathlib import Path

import pytest

from worker.engine.emotivoice.voices import TableRow, VoiceFinder, read_table, voices_of
from worker.engine.speech import Voice

VOICES = (
    Voice("8051", "Maria Kasper", ("en", "zh"), "female"),
    Voice("985", "George Pilling", ("en", "zh"), "male"),
    Voice("92", "Anna", ("en", "zh"), "female"),
    Voice("93", "anna", ("en", "zh"), "female"),
    Voice("me+you*2", "985", ("en", "zh"), "unknown"),
)


def find(expression: str) -> list[tuple[int, float]]:
    return VoiceFinder(VOICES).find(expression)


def refusal(expression: str) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        find(expression)
    return str(caught.value)


def test_the_official_table(reference: Path) -> None:
    speakers = (reference / "speaker2").read_text().split()
    table = read_table(reference / "voices_table.md")

    assert [*table] == speakers
    assert table["8051"] == TableRow("Maria Kasper", "female", "Clear, soothing, expressive")
    genders = [row.gender for row in table.values()]
    assert (genders.count("male"), genders.count("female")) == (1048, 966)


def test_rows_may_be_short_odd_or_of_nobody(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(
        "text | with a bar\n| ID | Voice Name | Gender | Description |\n|:--|---|:-:|--|\n"
        "| 1 | Ann \\| Bob | f | \n|2||X|odd|\n| 3 | Cy | M |\n"
    )

    assert read_table(tmp_path / "README.md") == {
        "1": TableRow("Ann | Bob", "female", ""),
        "2": TableRow("2", "unknown", "odd"),
        "3": TableRow("Cy", "male", ""),
    }


def test_a_speaker_without_a_row_is_called_by_its_id() -> None:
    known, unknown = voices_of(["1", "7"], {"1": TableRow("Ann", "female", "warm")})

    assert known == Voice("1", "Ann", ("en", "zh"), "female", "warm")
    assert unknown == Voice("7", "7", ("en", "zh"), "unknown", "")


@pytest.mark.parametrize(
    ("expression", "row"),
    [
        ("8051", 0),
        (" 985 ", 1),  # an id comes before a name
        ("Maria Kasper", 0),
        ("maria KASPER", 0),
        ("me+you*2", 4),  # an id may look like a blend
        ("8051*0.2", 0),
        ("8051+8051", 0),
    ],
)
def test_a_voice_by_id_or_name(expression: str, row: int) -> None:
    assert find(expression) == [(row, 1.0)]


@pytest.mark.parametrize(
    ("expression", "blend"),
    [
        ("8051*0.7+985*0.3", [(0, 0.7), (1, 0.3)]),
        ("8051 * 7 + 985 * 3", [(0, 0.7), (1, 0.3)]),
        ("8051+985", [(0, 0.5), (1, 0.5)]),
        ("8051*3+985", [(0, 0.75), (1, 0.25)]),
        ("maria kasper*.25+George Pilling*.75", [(0, 0.25), (1, 0.75)]),
        ("8051*1+985*1+8051*2", [(0, 0.75), (1, 0.25)]),
        ("8051*1.+92*999999", [(0, 1e-6), (2, 0.999999)]),
    ],
)
def test_a_blend_has_weights_that_sum_to_one(expression: str, blend: list[tuple[int, float]]) -> None:
    found = find(expression)

    assert [row for row, _ in found] == [row for row, _ in blend]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in blend])
    assert sum(weight for _, weight in found) == pytest.approx(1, abs=1e-12)


def test_an_unknown_voice_is_told_with_its_neighbours() -> None:
    said = refusal("8051*0.5+Maria Casper*0.5")

    assert said.startswith("no voice is called 'Maria Casper' in '8051*0.5+Maria Casper*0.5'. Nearest: Maria Kasper.")
    assert "There are 5 voices; a voice is an id such as 8051" in said


def test_an_ambiguous_name_lists_the_ids() -> None:
    assert refusal("Anna") == "several voices are called 'Anna'; take one by its id: 92, 93"


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "1e3", "", "0.0", "1,5", "１", "9999999", "0.7.3"])
def test_a_weight_is_a_number_above_zero(weight: str) -> None:
    said = refusal(f"8051*{weight}+985")

    assert f"the weight of '8051' in '8051*{weight}+985' is '{weight}'; a weight is a number above 0" in said


@pytest.mark.parametrize("expression", ["", " ", "+", "8051+", "*2", "8051 985", "8051-985"])
def test_what_is_no_expression_is_refused(expression: str) -> None:
    assert "a blend such as 8051*0.7+985*0.3" in refusal(expression)
