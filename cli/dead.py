"""`emotivoice dead`: look after the dead-letter queue, by the broker and Redis themselves."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from cli import tables
from cli.servers import BrokerUrl, RedisUrl, broker_or_default, redis_or_default, told

if TYPE_CHECKING:
    from shared.dead_letters import DeadLetter, DeadLetters
    from shared.jobs import Job

Json = dict[str, Any]

app = typer.Typer(
    help=(
        "Look after the dead letters: messages that no worker could deal with. Works on RabbitMQ and Redis themselves, "
        "by EMOTIVOICE_BROKER_URL and EMOTIVOICE_REDIS_URL, so run it where gateway and workers run."
    ),
    epilog=(
        "\b\nExamples:\n"
        "  emotivoice dead list\n"
        "  emotivoice dead show 0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f:0\n"
        "  emotivoice dead requeue --all   # once what made them fail is mended"
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)

SHOWN = 2000  # characters of a body
MISSING, UNKNOWN = "missing", "unknown"  # beside the states of a job: there is no record; Redis does not answer
EXIT_CODES = "\b\nExit codes: 0 done, 1 something failed or was not found, 2 wrong usage."

Names = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="As `dead list` names them.")]
Every = Annotated[bool, typer.Option("--all", help="All that are there now.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]


@dataclass
class Settled:
    """What became of one dead letter."""

    id: str
    done: bool
    steps: list[str]
    error: str = ""


@app.command(
    "list",
    epilog=f"\b\nExamples:\n  emotivoice dead list\n  emotivoice dead list --limit 1000 --json\n\n{EXIT_CODES}",
)
def list_letters(
    limit: Annotated[int, typer.Option(min=1, help="How many, the oldest first.")] = 20,
    as_json: AsJson = False,
    broker_url: BrokerUrl = None,
    redis_url: RedisUrl = None,
) -> None:
    """List dead letters, the oldest first; none is taken away. Its ID is the job's, a colon and the step."""
    with told():
        from shared import dead_letters

        with dead_letters.opened(broker_or_default(broker_url)) as queue:
            found = list(islice(queue, limit))
        jobs = _jobs(found, redis_or_default(redis_url))
    letters = [_fields(letter, jobs) for letter in found]
    if as_json:
        tables.show_json({"total": queue.count, "dead_letters": letters})
    elif letters:
        tables.show_dead_letters(letters)
        typer.echo(f"\n{len(letters)} of {queue.count}")
    else:
        typer.echo("there are no dead letters")


@app.command(
    epilog=f"\b\nExample:\n  emotivoice dead show 0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f:0\n\n{EXIT_CODES}",
)
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="As `dead list` names it.")],
    as_json: AsJson = False,
    broker_url: BrokerUrl = None,
    redis_url: RedisUrl = None,
) -> None:
    """Show one dead letter with its headers and its body, and its job's record."""
    with told():
        from shared import dead_letters

        with dead_letters.opened(broker_or_default(broker_url)) as queue:
            found = next((letter for letter in queue if letter.name == name), None)
        if found is None:
            _not_found([name])
            raise typer.Exit(1)
        jobs = _jobs([found], redis_or_default(redis_url))
    job = jobs.get(found.job_id)
    body = found.body.decode(errors="backslashreplace")
    details = {
        **_fields(found, jobs),
        "job": _plain(asdict(job)) if job else None,
        "headers": _plain(found.headers),
        "body": _plain(body[:SHOWN]),
        "body_cut": len(body) > SHOWN,
        "body_bytes": len(found.body),
    }
    (tables.show_json if as_json else tables.show_dead_letter)(details)


@app.command(
    epilog=(
        "\b\nExamples:\n"
        "  emotivoice dead requeue 0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f:0\n"
        f"  emotivoice dead requeue --all\n\n{EXIT_CODES}"
    )
)
def requeue(
    names: Names = None,
    every: Every = False,
    as_json: AsJson = False,
    broker_url: BrokerUrl = None,
    redis_url: RedisUrl = None,
) -> None:
    """Have the jobs of dead letters worked on again.

    A job that has failed is opened again, its steps are enqueued, and then the dead letter goes. One whose job is
    finished or gone, or that can't be read, stays: see `dead drop`.
    """
    wanted = _wanted(names, every)
    with told():
        broker, redis = broker_or_default(broker_url), redis_or_default(redis_url)
        _settle(wanted, as_json, lambda each: asyncio.run(_requeue(wanted, broker, redis, each)))


@app.command(
    epilog=(
        f"\b\nExamples:\n  emotivoice dead drop foreign-1c8aff95\n  emotivoice dead drop --all --yes\n\n{EXIT_CODES}"
    )
)
def drop(
    names: Names = None,
    every: Every = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: AsJson = False,
    broker_url: BrokerUrl = None,
) -> None:
    """Throw dead letters away, for good. Their jobs stay as they are."""
    wanted = _wanted(names, every)
    with told():
        from shared import dead_letters

        broker = broker_or_default(broker_url)
        with dead_letters.opened(broker) as queue:
            count = queue.count if every else len(wanted)
        if count and not yes:
            typer.confirm(f"drop {count} dead letter{'s' * (count > 1)} for good?", abort=True, err=True)
        _settle(wanted, as_json, lambda each: _drop(wanted, broker, count, each))


Report = Callable[[Settled], None]


async def _requeue(wanted: list[str], broker_url: str, redis_url: str, each: Report) -> None:
    from shared import dead_letters
    from shared.async_job_store import AsyncRedisJobStore
    from shared.queue import SweeperQueue

    jobs = AsyncRedisJobStore(redis_url)
    try:
        with dead_letters.opened(broker_url) as letters:
            steps_queue = SweeperQueue(broker_url)
            for letter in _chosen(letters, wanted):
                try:
                    steps = await dead_letters.requeue(letter, jobs=jobs, queue=steps_queue)
                except dead_letters.NotRequeued as error:
                    each(Settled(letter.name, False, [], str(error)))
                else:
                    letters.acknowledge(letter)
                    each(Settled(letter.name, True, steps))
    finally:
        await jobs.close()


def _drop(wanted: list[str], broker_url: str, count: int, each: Report) -> None:
    from shared import dead_letters

    with dead_letters.opened(broker_url) as letters:
        for letter in _chosen(letters, wanted, at_most=count):
            letters.acknowledge(letter)
            each(Settled(letter.name, True, []))


def _chosen(letters: "DeadLetters", wanted: list[str], at_most: int | None = None) -> Iterator["DeadLetter"]:
    """Yield the letters of these names, or without names all; at most as many as the user was told."""
    left = set(wanted)
    for letter in islice(letters, None if wanted else at_most):
        if not wanted or letter.name in left:
            yield letter
            left.discard(letter.name)
            if wanted and not left:
                return


def _settle(wanted: list[str], as_json: bool, do: Callable[[Report], None]) -> None:
    """Have it done, tell of each letter, and exit with 1 unless all went well."""
    settled: list[Settled] = []

    def each(one: Settled) -> None:
        settled.append(one)
        if not as_json:
            _tell(one)

    try:
        do(each)
    finally:
        if as_json:
            tables.show_json([asdict(one) for one in settled])
    missing = sorted(set(wanted) - {one.id for one in settled})
    _not_found(missing)
    if not settled and not wanted and not as_json:
        typer.echo("there are no dead letters")
    if missing or not all(one.done for one in settled):
        raise typer.Exit(1)


def _tell(one: Settled) -> None:
    if not one.done:
        typer.echo(f"left {one.id}: {one.error}. To throw it away: emotivoice dead drop {one.id}", err=True)
    elif one.steps:
        typer.echo(f"requeued {one.id}: enqueued {', '.join(one.steps)}")
    else:
        typer.echo(f"dropped {one.id}")


def _not_found(names: list[str]) -> None:
    for name in names:
        typer.echo(f"error: there is no dead letter {name!r}; to see which there are: emotivoice dead list", err=True)


def _wanted(names: list[str] | None, every: bool) -> list[str]:
    if bool(names) == every:
        raise typer.BadParameter("name dead letters by their IDs, or say --all; not both", param_hint="ID")
    return list(names or ())


def _jobs(letters: list["DeadLetter"], redis_url: str) -> "dict[str, Job | None]":
    """Return the jobs of the letters, None for one that is not there; nothing at all while Redis does not answer."""
    from shared.errors import StoreUnavailable

    ids = {letter.job_id for letter in letters if not letter.problem}
    try:
        return asyncio.run(_look_up(ids, redis_url))
    except StoreUnavailable as error:
        typer.echo(f"warning: {error}, so the jobs' states are not known", err=True)
        return {}


async def _look_up(ids: set[str], redis_url: str) -> "dict[str, Job | None]":
    from shared.async_job_store import AsyncRedisJobStore

    store = AsyncRedisJobStore(redis_url)
    try:
        views = {job_id: await store.view(job_id) for job_id in ids}
    finally:
        await store.close()
    return {job_id: view.job if view else None for job_id, view in views.items()}


def _fields(letter: "DeadLetter", jobs: "dict[str, Job | None]") -> Json:
    """Return what is told of a letter. A foreign one may hold what a terminal would obey, so it is made plain."""
    job = jobs.get(letter.job_id)
    state = None if letter.problem else UNKNOWN if letter.job_id not in jobs else job.state if job else MISSING
    return _plain(
        {
            "id": letter.name,
            "job_id": letter.job_id or None,
            "step": letter.step or None,
            "problem": letter.problem or None,
            "queue": letter.queue,
            "reason": letter.reason,
            "died_at": letter.died_at.isoformat() if letter.died_at else None,
            "job_state": state,
            "failure_code": job.failure.code if job and job.failure else None,
        }
    )


def _plain(value: Any) -> Any:
    """Return the value as JSON has it, without characters that a terminal would obey."""
    match value:
        case dict():
            return {_plain(str(name)): _plain(one) for name, one in cast(Json, value).items()}
        case list() | tuple():
            return [_plain(one) for one in cast(list[Any], value)]
        case None | bool() | int() | float():
            return value
        case _:
            text = str(value)
            return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
