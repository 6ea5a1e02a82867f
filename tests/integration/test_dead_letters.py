"""`emotivoice dead`, on a real RabbitMQ and a real Redis."""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import kombu
import pytest
from typer.testing import CliRunner, Result

from cli import main
from cli.stack.probes import free_ports
from shared.async_job_store import AsyncRedisJobStore
from shared.job_store import RedisJobStore
from shared.jobs import Change, Failure, Job, JobState, Lane, SpeechRequest, Step, fail, start
from shared.queue import QUEUES, make_app, queue_name, worker_queue
from shared.settings import SharedSettings
from shared.topology import declare
from tests.api import Json
from tests.integration.conftest import RunningFleet
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

T = TypeVar("T")

REQUEST = SpeechRequest("Hello", "hum", "neutral", 1.0, 1.0, "wav", 16_000, 0)


class Desk:
    """The queues and the records, as the test prepares them and finds them afterwards."""

    def __init__(self, settings: SharedSettings, channel: Any) -> None:
        self.url, self.redis_url = settings.broker_url.get_secret_value(), settings.redis_url.get_secret_value()
        self.channel = channel
        self._queue = worker_queue(make_app(self.url))

    def job(self, *, long: bool = False, lane: Lane = Lane.BULK) -> str:
        """Record a job that waits for a worker."""
        job = Job(uuid.uuid4().hex, lane, characters=5, created_at=time.time(), long=long)
        self._with_store(lambda store: store.create(job, REQUEST))
        return job.id

    def failed_job(self) -> str:
        job_id = self.job()
        worker = RedisJobStore(self.redis_url)
        worker.change(job_id, "0", _started)
        worker.change(job_id, "0", _failed)
        return job_id

    def cancelled_job(self) -> str:
        job_id = self.job()
        self._with_store(lambda store: store.cancel(job_id))
        return job_id

    def state(self, job_id: str) -> JobState | None:
        view = self._with_store(lambda store: store.view(job_id))
        return view.job.state if view else None

    def kill(self, job_id: str, step: str = "0", lane: Lane = Lane.BULK) -> str:
        """Send the step's message, have a worker reject it, and return the name of the dead letter."""
        self._queue.enqueue(job_id, step, lane=lane)
        before = self.dead()
        message = wait_for(lambda: self.channel.basic_get(queue_name(lane)))
        self.channel.basic_reject(message.delivery_tag, requeue=False)
        wait_for(lambda: self.dead() > before)
        return f"{job_id}:{step}"

    def leave(self, body: bytes, headers: Json | None = None) -> None:
        """Put a message of somebody else's into the dead-letter queue."""
        before = self.dead()
        message = self.channel.prepare_message(body, headers=headers or {}, properties={"delivery_mode": 2})
        self.channel.basic_publish(message, exchange="tts.dlx", routing_key="tts.bulk")
        wait_for(lambda: self.dead() > before)

    def dead(self) -> int:
        return self.channel.queue_declare("tts.dead", passive=True).message_count

    def waiting(self, lane: Lane = Lane.BULK) -> list[Any]:
        """Take what is in the lane."""
        messages: list[Any] = []
        while (message := QUEUES[lane](self.channel).get(no_ack=True)) is not None:
            messages.append(message)
        return messages

    def _with_store(self, ask: Callable[[AsyncRedisJobStore], Awaitable[T]]) -> T:
        async def asked() -> T:
            store = AsyncRedisJobStore(self.redis_url)
            try:
                return await ask(store)
            finally:
                await store.close()

        return asyncio.run(asked())


def _started(job: Job, step: Step) -> Change:
    return start(job, step, token="t", now=time.time(), lease_seconds=60, redelivered=False)


def _failed(job: Job, step: Step) -> Change:
    return fail(job, step, token="t", now=time.time(), failure=Failure("internal_error", "a fault of ours"))


@pytest.fixture
def desk(settings: SharedSettings) -> Iterator[Desk]:
    """Empty queues."""
    url = settings.broker_url.get_secret_value()
    declare(url)
    connection: Any
    with kombu.Connection(url) as connection:
        for queue in ("tts.dead", *map(queue_name, Lane)):
            connection.default_channel.queue_purge(queue)
        yield Desk(settings, connection.default_channel)


def dead(*arguments: str, code: int = 0, stdin: str = "") -> Result:
    """Run `emotivoice dead`, which ends with that code."""
    result = CliRunner().invoke(main.app, ["dead", *arguments], input=stdin)
    assert result.exit_code == code, result.output
    return result


def listed(*arguments: str) -> list[Json]:
    return json.loads(dead("list", "--json", *arguments).stdout)["dead_letters"]


def names() -> list[str]:
    return [letter["id"] for letter in listed()]


def test_a_dead_letter_is_told_with_its_job(desk: Desk) -> None:
    job_id = desk.failed_job()
    name = desk.kill(job_id)

    [letter] = listed()

    assert letter["died_at"]
    assert letter | {"died_at": ""} == {
        "id": name,
        "job_id": job_id,
        "step": "0",
        "problem": None,
        "queue": "tts.bulk",
        "reason": "rejected",
        "died_at": "",
        "job_state": "failed",
        "failure_code": "internal_error",
    }
    table = dead("list").stdout
    assert f"{name}  tts.bulk  rejected" in table
    assert "failed internal_error" in table
    assert table.endswith("1 of 1\n")


def test_looking_takes_nothing_away_and_keeps_the_order(desk: Desk) -> None:
    killed = [desk.kill(desk.job()) for _ in range(5)]

    for _ in range(3):
        assert names() == killed
    assert [letter["id"] for letter in listed("--limit", "2")] == killed[:2]
    assert dead("list", "--limit", "2").stdout.endswith("2 of 5\n")
    assert desk.dead() == 5


def test_messages_of_one_step_have_names_of_their_own(desk: Desk) -> None:
    job_id = desk.job()
    name, *_ = [desk.kill(job_id) for _ in range(3)]

    assert names() == [name, f"{name}~2", f"{name}~3"]
    dead("drop", f"{name}~2", "--yes")
    assert names() == [name, f"{name}~2"]


def test_a_message_that_was_delivered_too_often_says_so(desk: Desk) -> None:
    job_id = desk.job()
    worker_queue(make_app(desk.url)).enqueue(job_id, "0", lane=Lane.BULK)

    def handed_back() -> bool:
        message = desk.channel.basic_get("tts.bulk")
        if message is not None:
            desk.channel.basic_reject(message.delivery_tag, requeue=True)
        return desk.dead() == 1

    wait_for(handed_back)
    assert [letter["reason"] for letter in listed()] == ["delivery_limit"]


def test_a_message_that_was_delayed_before_tells_where_it_died(desk: Desk) -> None:
    worker_queue(make_app(desk.url)).enqueue(desk.job(), "0", lane=Lane.BULK, delay_seconds=1)
    message: Any = wait_for(lambda: desk.channel.basic_get("tts.bulk"))
    assert message.headers["x-death"]
    desk.channel.basic_reject(message.delivery_tag, requeue=False)
    wait_for(lambda: desk.dead() == 1)

    assert [(letter["queue"], letter["reason"]) for letter in listed()] == [("tts.bulk", "rejected")]


@pytest.mark.parametrize(
    ("body", "headers", "problem"),
    [
        (b"hello", {}, "it names no task"),
        (b"[]", {"task": "other.task"}, "'other.task' is none of our tasks"),
        (b"\xff\x00{", {"task": "tts.speak"}, "its body is not a job and a step"),
        (b'{"a": 1}', {"task": "tts.speak"}, "its body is not a job and a step"),
        (b'[["job", "plan"], {}, {}]', {"task": "tts.speak"}, "its body is not a job and a step of that task"),
        (b"[" * 100_000, {"task": "tts.speak"}, "its body is not a job and a step"),
    ],
)
def test_a_foreign_message_is_listed_and_can_only_be_dropped(
    desk: Desk, body: bytes, headers: Json, problem: str
) -> None:
    desk.leave(body, headers)

    [letter] = listed()
    assert letter["id"].startswith("foreign-")
    assert letter["problem"].startswith(problem)
    assert letter["job_state"] is None
    refused = dead("requeue", letter["id"], code=1)
    assert problem in refused.stderr
    assert f"emotivoice dead drop {letter['id']}" in refused.stderr
    assert desk.dead() == 1
    dead("drop", letter["id"], "--yes")
    assert desk.dead() == 0


def test_a_foreign_message_is_shown_cut_and_without_what_a_terminal_would_obey(desk: Desk) -> None:
    desk.leave(b"\x1b[2J secret " + b"x" * 10_000, {"id": "\x1b]0;gotcha\x07", "task": "\x1b[31mred"})

    [letter] = listed()
    shown = dead("show", letter["id"]).stdout

    assert "\x1b" not in shown
    assert "\x1b" not in dead("list").stdout
    assert r"\x1b[2J secret xxx" in shown
    assert "body, 10012 bytes, of which this is the beginning:" in shown
    assert len(shown) < 4000


def test_a_letter_is_shown_with_headers_body_and_record(desk: Desk) -> None:
    job_id = desk.failed_job()
    name = desk.kill(job_id)

    shown = json.loads(dead("show", name, "--json").stdout)

    assert shown["headers"]["task"] == "tts.speak"
    assert shown["headers"]["x-death"][0]["queue"] == "tts.bulk"
    assert json.loads(shown["body"])[0] == [job_id, "0"]
    assert (shown["job"]["id"], shown["job"]["failure"]["code"]) == (job_id, "internal_error")
    assert f'"id": "{job_id}"' in dead("show", name).stdout
    assert desk.dead() == 1


def test_a_failed_job_is_opened_again_and_enqueued_as_if_new(desk: Desk) -> None:
    job_id = desk.failed_job()
    name = desk.kill(job_id)

    assert dead("requeue", name).stdout == f"requeued {name}: enqueued 0\n"

    assert desk.state(job_id) is JobState.QUEUED
    assert desk.dead() == 0
    [message] = desk.waiting()
    assert message.payload[0] == [job_id, "0"]
    assert not [header for header in message.headers if "death" in header]


def test_an_unfinished_job_gets_the_message_back_that_it_waits_for(desk: Desk) -> None:
    job_id = desk.job(long=True)
    name = desk.kill(job_id, "plan", Lane.ASSEMBLY)

    dead("requeue", name)

    assert desk.state(job_id) is JobState.QUEUED
    assert [message.payload[0] for message in desk.waiting(Lane.ASSEMBLY)] == [[job_id, "plan"]]
    assert desk.dead() == 0


def test_what_nobody_waits_for_stays_until_it_is_dropped(desk: Desk) -> None:
    cancelled = desk.kill(desk.cancelled_job())
    missing = desk.kill("never-recorded")
    absent = desk.kill(desk.job(), "999")
    failed = desk.kill(desk.failed_job())

    result = dead("requeue", "--all", code=1)

    assert f"left {cancelled}: its job is cancelled" in result.stderr
    assert f"left {missing}: there is no job 'never-recorded'" in result.stderr
    assert f"left {absent}: its job has no step 999" in result.stderr
    assert result.stdout == f"requeued {failed}: enqueued 0\n"
    assert names() == [cancelled, missing, absent]
    assert [letter["job_state"] for letter in listed()] == ["cancelled", "missing", "queued"]
    assert len(desk.waiting()) == 1


def test_a_lane_that_takes_nothing_keeps_the_letter(desk: Desk) -> None:
    job_id = desk.failed_job()
    name = desk.kill(job_id)
    desk.channel.queue_delete("tts.bulk")

    try:
        result = dead("requeue", name, code=1)
    finally:
        declare(desk.url)

    assert "the job queue did not take the job" in result.stderr
    assert names() == [name]
    dead("requeue", name)  # now the job is open already, and its step is enqueued
    assert [message.payload[0] for message in desk.waiting()] == [[job_id, "0"]]


def test_dropping_asks_first(desk: Desk) -> None:
    first, second = desk.kill(desk.job()), desk.kill(desk.job())

    assert "drop 2 dead letters for good?" in dead("drop", "--all", code=1, stdin="n\n").stderr
    assert desk.dead() == 2
    assert dead("drop", first, stdin="y\n").stdout.endswith(f"dropped {first}\n")
    assert names() == [second]
    assert json.loads(dead("drop", "--all", "--yes", "--json").stdout) == [
        {"id": second, "done": True, "steps": [], "error": ""}
    ]
    assert desk.dead() == 0
    assert dead("drop", "--all").stdout == "there are no dead letters\n"


def test_a_name_that_is_not_there_is_told_and_the_rest_is_done(desk: Desk) -> None:
    name = desk.kill(desk.failed_job())

    result = dead("requeue", "nobody:0", name, code=1)

    assert "there is no dead letter 'nobody:0'" in result.stderr
    assert desk.dead() == 0
    assert "there is no dead letter 'nobody:0'" in dead("show", "nobody:0", code=1).stderr


def test_an_empty_queue_is_no_failure(desk: Desk) -> None:
    assert dead("list").stdout == "there are no dead letters\n"
    assert dead("requeue", "--all").stdout == "there are no dead letters\n"
    assert json.loads(dead("list", "--json").stdout) == {"total": 0, "dead_letters": []}


def test_letters_can_be_listed_without_redis(desk: Desk) -> None:
    name = desk.kill(desk.job())
    (port,) = free_ports(1)

    result = dead("list", "--json", "--redis-url", f"redis://127.0.0.1:{port}/0")

    assert json.loads(result.stdout)["dead_letters"][0]["job_state"] == "unknown"
    assert "the job store does not answer" in result.stderr
    assert "does not answer" in dead("requeue", name, "--redis-url", f"redis://127.0.0.1:{port}/0", code=1).stderr
    wait_for(lambda: desk.dead() == 1)


def test_a_missing_queue_is_told_with_what_declares_it(desk: Desk) -> None:
    desk.channel.queue_delete("tts.dead")

    try:
        result = dead("list", code=1)
    finally:
        declare(desk.url)

    assert "no queue 'tts.dead'" in result.stderr
    assert "emotivoice init" in result.stderr


def test_a_job_that_failed_by_a_fault_of_ours_is_tried_again(
    fleet: RunningFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in fleet.servers.environment().items():
        monkeypatch.setenv(name, value)
    job_id = fleet.api.submit(f"Please break this, {uuid.uuid4()}.")
    first = fleet.api.finished(job_id)
    assert first["error"]["code"] == "internal_error"
    wait_for(lambda: f"{job_id}:0" in names())

    dead("requeue", f"{job_id}:0")

    wait_for(lambda: (again := fleet.api.job(job_id))["state"] == "failed" and again["attempts"] == 1 and names())
    assert fleet.api.job(job_id)["finished_at"] > first["finished_at"]
    assert names().count(f"{job_id}:0") == 1


def test_a_queued_job_whose_message_died_is_spoken_after_all(
    fleet: RunningFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in fleet.servers.environment().items():
        monkeypatch.setenv(name, value)
    connection: Any
    with (
        fleet.without_worker(Lane.BULK),
        kombu.Connection(SharedSettings().broker_url.get_secret_value()) as connection,
    ):
        job_id = fleet.api.submit(f"Nobody has heard of this, {uuid.uuid4()}.", lane="bulk")
        message: Any = connection.default_channel.basic_get("tts.bulk")
        message.channel.basic_reject(message.delivery_tag, requeue=False)
        wait_for(lambda: f"{job_id}:0" in names())
        dead("requeue", f"{job_id}:0")

    assert fleet.api.finished(job_id)["state"] == "succeeded"
    assert f"{job_id}:0" not in names()
