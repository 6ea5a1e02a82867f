"""The matrix: every fault, to every victim, at every moment of a job's way."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.faults.checks import Checks
from tests.faults.clients import Client, long_text, short_text
from tests.faults.faults import CUT_SECONDS, PAUSE_SECONDS, Fault, Victim, broken, target
from tests.faults.holds import Hold, Kind, Moment
from tests.faults.rig import Rig

LASTS_SECONDS = {Fault.STOP: PAUSE_SECONDS, Fault.CUT: CUT_SECONDS}


@dataclass(frozen=True)
class Cell:
    """One fault."""

    victim: Victim
    fault: Fault
    moment: Moment

    @property
    def kind(self) -> Kind:
        """Which step is held: what the victim works on, as far as it works."""
        works_on_joins = self.victim is Victim.ASSEMBLY and self.moment is not Moment.SPEAKING
        return Kind.JOIN if works_on_joins or self.moment is Moment.JOINING else Kind.SEGMENT

    @property
    def held_until_the_end(self) -> bool:
        """A stopped main process has a child that goes on: let another worker take its step over first."""
        return self.victim is Victim.MAIN and self.fault is Fault.STOP

    def __str__(self) -> str:
        return f"{self.victim}, {self.fault}, {self.moment}"


ALL = [Cell(victim, fault, moment) for victim in Victim for fault in Fault for moment in Moment]


def pairwise() -> list[Cell]:
    """Each victim with each fault, and each fault at each moment, at least once."""
    victims, faults, moments = list(Victim), list(Fault), list(Moment)
    return [
        Cell(victim, fault, moments[(row + column) % len(moments)])
        for row, victim in enumerate(victims)
        for column, fault in enumerate(faults)
    ]


@dataclass(frozen=True)
class Played:
    """What came of a cell."""

    jobs: int
    recovered_seconds: float  # from the end of the fault until everybody took work and every job had ended


def play(cell: Cell, rig: Rig, checks: Checks, client: Client) -> Played:
    """Hold a job at the moment, do the fault while other jobs come, undo it, and check everything."""
    before = checks.before()
    hold = rig.holds.at(cell.moment, cell.kind)
    hold.arm()
    sent = [client.submit(long_text(f"{cell}") if cell.kind is Kind.JOIN else short_text(f"{cell}"))]
    victim = target(rig, cell.victim, hold.wait())
    sent += client.submit_all([short_text("a neighbour"), long_text("a long neighbour")])
    with ThreadPoolExecutor(1) as other:
        with broken(victim, cell.fault):
            late = other.submit(client.submit, short_text("a client during the fault"))
            _last(cell, hold)
        undone = time.monotonic()
        rig.wait_ready()
        sent.append(late.result())
    sent.append(client.submit(short_text("a client after the fault")))
    checks.final(before)
    seconds = time.monotonic() - undone
    ended = victim.member.name if victim.member and cell.fault in (Fault.KILL, Fault.TERM, Fault.RESTART) else ""
    checks.after(sent, before, client=client, replaced="" if victim.child else ended)
    return Played(len(sent), seconds)


def _last(cell: Cell, hold: Hold) -> None:
    """Let the fault last, and the held job go on into it."""
    if not cell.held_until_the_end:
        hold.open()
    time.sleep(LASTS_SECONDS.get(cell.fault, 0))
    hold.open()


def table(results: Sequence[tuple[Cell, str, Played | None]]) -> str:
    """Return the results in Markdown."""
    lines = ["| victim | fault | moment | result | jobs | recovered after |", "|---|---|---|---|---|---|"]
    for cell, result, played in results:
        facts = f"{played.jobs} | {played.recovered_seconds:.1f} s" if played else " | "
        lines.append(f"| {cell.victim} | {cell.fault} | {cell.moment} | {result} | {facts} |")
    return "\n".join(lines) + "\n"
