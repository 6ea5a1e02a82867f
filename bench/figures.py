"""What a bench has measured, and its table."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measured figure, and the bar it is held to."""

    name: str
    value: float
    unit: str
    bar: str = ""
    passed: bool | None = None


def show(figures: Sequence[Figure], *, title: str) -> None:
    """Print the table."""
    table = Table("figure", "value", "", "bar", "", title=title)
    table.columns[1].justify = "right"
    for figure in figures:
        verdict = {None: "", True: "met", False: "MISSED"}[figure.passed]
        table.add_row(figure.name, f"{figure.value:.2f}", figure.unit, figure.bar, verdict)
    Console().print(table)
