"""`emotivoice plan`: what a ScaledObject does with a load, before it is applied."""

import math
import re
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.jobs import Lane

if TYPE_CHECKING:
    from planner.report import Report
    from planner.scaled_object import ScaledObject
    from planner.search import Suggestion
    from planner.simulation import Outcome, World
    from planner.supply import Supply
    from planner.trace import Trace

EPILOG = (
    "\b\nExamples:\n"
    "  emotivoice plan --pattern '2->35 rps at 60 s' --begins 10:00 --after 150\n"
    "  emotivoice plan --pattern 'day 35 rps' --png day.png\n"
    "  emotivoice plan --lane bulk --pattern '500 jobs at 60 s' --engine-seconds 'uniform 2..5' --node-start 120\n"
    "  emotivoice plan --trace arrivals.csv --json > plan.json\n"
    "  emotivoice plan --pattern '20 rps for 30 min' --target-p99 0.5   # suggests values\n"
    "  emotivoice plan --pattern '2->35 rps at 60 s' --prometheus-away 50..400\n\n"
    "\b\nA pattern, of which several may be joined by commas, is one of:\n"
    "  2->35 rps at 60 s    2 jobs a second, from 60 s on 35\n"
    "  5 rps for 2 min      5..50 rps for 10 min      30 jobs at 5 s\n"
    "  day 35 rps           a working day with a quiet night; 35 jobs a second when it is busiest\n\n"
    "\b\nEngine seconds are a number, or one of:\n"
    "  uniform 0.1..0.4     exponential 0.2     lognormal 0.2 cv 0.5\n\n"
    "A trace is a CSV file with a line for each job: seconds[,engine_seconds]\n\n"
    "\b\nExit codes: 0 simulated, 1 no values were found that meet the target, 2 wrong usage or unreadable.\n\n"
    "docs/planning.md says which rules are simulated and how they were checked."
)

MANIFESTS = Path(__file__).resolve().parent.parent / "k8s" / "keda"


@dataclass(frozen=True)
class Usual:
    """What is taken for granted of a lane unless it is told, in seconds; where it is from: docs/planning.md."""

    engine: str
    cold_start: float


USUAL = {
    Lane.INTERACTIVE: Usual("lognormal 0.2 cv 0.5", 20),
    Lane.BULK: Usual("lognormal 3 cv 0.5", 20),
    Lane.ASSEMBLY: Usual("lognormal 1 cv 1", 5),
}


def plan(  # noqa: PLR0913, PLR0917 - the options of the command
    lane: Annotated[Lane, typer.Option(help="Which lane's ScaledObject.")] = Lane.INTERACTIVE,
    manifest: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The ScaledObject.", show_default="the one in k8s/keda")
    ] = None,
    pattern: Annotated[str | None, typer.Option(metavar="PATTERN", help="The load in words, see below.")] = None,
    trace: Annotated[Path | None, typer.Option(metavar="CSV", help="The load as a file, see below.")] = None,
    duration: Annotated[
        float | None, typer.Option(min=1, metavar="SECONDS", help="End of the load.", show_default="as it has itself")
    ] = None,
    engine_seconds: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="Of a segment, see below.", show_default="by lane: 0.2, 3, 1")
    ] = None,
    cold_start: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="From pod to warm.", show_default="by lane: 20, 20, 5"),
    ] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="How many nodes (GPUs) there may be.")] = None,
    node_start: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Until a new node is there.")] = 0,
    node_idle: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long an empty node is kept.")] = 0,
    standby_nodes: Annotated[
        int, typer.Option(min=0, help="Nodes that are kept besides those in use, by standby pods.")
    ] = 0,
    standby_hours: Annotated[
        str | None,
        typer.Option(metavar="FROM..TO", help="When they are kept.", show_default="day and night"),
    ] = None,
    grace: Annotated[float, typer.Option(min=10, metavar="SECONDS", help="terminationGracePeriodSeconds.")] = 630,
    idle_first: Annotated[
        bool, typer.Option("--idle-first", help="Idle workers go first, by pod-deletion-cost.")
    ] = False,
    begins: Annotated[
        str,
        typer.Option(metavar="TIME", help="Second 0 by the clock, for cron triggers: 10:00 on a Monday, or a date."),
    ] = "00:00",
    replicas: Annotated[
        int | None, typer.Option(min=0, help="Warm workers at the beginning.", show_default="as many as at rest")
    ] = None,
    broker_away: Annotated[
        str | None, typer.Option(metavar="FROM..TO", help="Seconds in which KEDA can't read RabbitMQ.")
    ] = None,
    prometheus_away: Annotated[
        str | None, typer.Option(metavar="FROM..TO", help="Seconds in which KEDA can't read Prometheus.")
    ] = None,
    after: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Tell the waits since then, and compare and suggest by them."),
    ] = 0,
    target_p99: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Suggest values with which 99 % wait at most so long."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same figures.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as JSON.")] = False,
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw load, workers and waits. Needs the extra plot.")
    ] = None,
) -> None:
    """Simulate how KEDA and the HPA scale a lane's workers under a load.

    Tells how long jobs wait, how many workers there are when, and the GPU hours beside a fleet that never changes.
    """
    from planner.errors import PlanError
    from planner.supply import Supply

    supply = Supply(
        USUAL[lane].cold_start if cold_start is None else cold_start,
        nodes,
        node_start,
        standby_nodes,
        node_idle,
        grace,
        idle_first,
        _hours(standby_hours),
    )
    try:
        scaled = _scaled_object(lane, manifest)
        load = _load(pattern, trace, engine_seconds or USUAL[lane].engine, seed=seed, duration=duration)
        world = _world(scaled, supply, begins, seed=seed, replicas=replicas, away=(broker_away, prometheus_away))
        _plan(_Wish(after, target_p99, as_json, png), scaled, load, world, told=pattern or str(trace))
    except PlanError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error


@dataclass(frozen=True)
class _Wish:
    """What is to be told."""

    after: float
    target_p99: float | None
    as_json: bool
    png: Path | None


def _plan(wish: _Wish, scaled: "ScaledObject", load: "Trace", world: "World", *, told: str) -> None:
    from planner.report import report
    from planner.search import suggest
    from planner.simulation import simulate

    outcome = simulate(scaled, load, world)
    result = report(load, outcome, after=wish.after)
    found = (
        None if wish.target_p99 is None else suggest(scaled, load, world, target_p99=wish.target_p99, after=wish.after)
    )
    if wish.as_json:
        _show_json(scaled, result, found, outcome)
    else:
        _show(scaled, result, found, load=f"{told}: {len(load):,} jobs in {load.duration:g} s", wish=wish)
    if wish.png:
        from planner.plot import draw

        draw(wish.png, load, outcome, title=f"{scaled.name}: {told}")
    if found and not found.met:
        raise typer.Exit(1)


def _show(scaled: "ScaledObject", result: "Report", found: "Suggestion | None", *, load: str, wish: _Wish) -> None:
    from planner import text

    typer.echo("\n".join(text.lines(scaled, result, load=load)))
    if found and wish.target_p99 is not None:
        typer.echo("\n" + "\n".join(text.suggestion(found, target=wish.target_p99)))


def _show_json(scaled: "ScaledObject", result: "Report", found: "Suggestion | None", outcome: "Outcome") -> None:
    from dataclasses import asdict

    from cli import tables

    suggestion = None
    if found:
        suggestion = {
            "met": found.met,
            "messages_per_replica": found.scaled.messages_per_replica,
            "min_replicas": found.scaled.min_replicas,
            "max_replicas": found.scaled.max_replicas,
            "formula": found.scaled.modifiers.formula.text if found.scaled.modifiers else None,
            "report": found.report.as_json(),
        }
    samples = [asdict(each) for each in outcome.samples]
    tables.show_json({"scaled_object": scaled.name, **result.as_json(), "samples": samples, "suggestion": suggestion})


def _scaled_object(lane: Lane, manifest: Path | None) -> "ScaledObject":
    """Return the lane's ScaledObject of a file, by the queue that it looks at."""
    from planner import manifest as manifests
    from planner.errors import PlanError
    from shared.queue import queue_name

    path = manifest or MANIFESTS / f"scaledobject-worker-{lane}.yaml"
    found = manifests.load(path)
    of_lane = [each for each in found if each.queues == frozenset([queue_name(lane)])]
    if len(of_lane) != 1:
        queues = ", ".join(sorted(queue for each in found for queue in each.queues))
        raise PlanError(
            f"{path} has {len(of_lane)} ScaledObjects for {queue_name(lane)}; its queues are {queues}. "
            f"Choose one by --lane: {', '.join(Lane)}"
        )
    return of_lane[0]


def _load(pattern: str | None, trace: Path | None, engine: str, *, seed: int, duration: float | None) -> "Trace":
    import numpy as np

    from planner import engine_seconds
    from planner import trace as traces

    if (pattern is None) == (trace is None):
        raise typer.BadParameter("say what the load is: one of --pattern and --trace", param_hint="--pattern")
    seconds, rng = engine_seconds.parse(engine), np.random.default_rng(seed)
    if pattern is not None:
        return traces.from_pattern(pattern, seconds, rng=rng, duration=duration)
    assert trace
    return traces.from_csv(trace, seconds, rng=rng, duration=duration)


def _world(  # noqa: PLR0913 - each is an option of its own
    scaled: "ScaledObject",
    supply: "Supply",
    begins: str,
    *,
    seed: int,
    replicas: int | None,
    away: tuple[str | None, str | None],
) -> "World":
    """Return the world, with the first looks of KEDA and the HPA where the seed puts them."""
    import numpy as np

    from planner.hpa import SYNC_SECONDS
    from planner.simulation import World

    rng = np.random.default_rng([seed, 1])
    return World(
        supply,
        _time(begins),
        SYNC_SECONDS * rng.random(),
        scaled.polling_seconds * rng.random(),
        replicas,
        _span(away[0], "--broker-away"),
        _span(away[1], "--prometheus-away"),
    )


def _time(text: str) -> datetime:
    from planner.simulation import A_MONDAY

    if match := re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text):
        return A_MONDAY.replace(hour=int(match[1]), minute=int(match[2]))
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time; it takes 10:00, or 2026-01-05T10:00", param_hint="--begins"
        ) from error


def _hours(text: str | None) -> tuple[time, time] | None:
    if text is None:
        return None
    begins, _, ends = (each.zfill(len("00:00")) for each in text.partition(".."))
    if not all(re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", each) for each in (begins, ends)) or begins >= ends:
        raise typer.BadParameter(f"{text!r} are no hours; it takes 7:45..18:00", param_hint="--standby-hours")
    return time.fromisoformat(begins), time.fromisoformat(ends)


def _span(text: str | None, option: str) -> tuple[float, float] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\.\.(\d+(?:\.\d+)?)?", text)
    if not match or float(match[2] or math.inf) <= float(match[1]):
        raise typer.BadParameter(f"{text!r} is no span; it takes seconds such as 120..300", param_hint=option)
    return float(match[1]), float(match[2] or math.inf)
