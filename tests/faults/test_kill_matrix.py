"""The kill matrix: 22 rows, which the study that chose Celery's settings (docs/decisions/0001) ended with.

Each row is a fault and what must come of it. A test of this folder says in its first line which rows it is. These are
shown by other tests with real servers, and are not written twice; the last test of this file looks whether they exist:

row 1: tests/integration/test_delivery.py::test_a_worker_takes_no_message_before_its_engine_is_loaded
row 2: tests/integration/test_delivery.py::test_a_worker_whose_engine_does_not_load_gives_up_and_takes_no_message
row 4: tests/integration/test_delivery.py::test_a_worker_killed_at_work_does_not_cost_the_job
row 4: tests/integration/test_batching.py::test_a_worker_killed_with_a_batch_in_its_hand_costs_no_job
row 7: tests/integration/test_draining.py::test_a_main_process_whose_child_does_not_answer_ends_itself
row 9: tests/integration/test_poison.py::test_a_text_that_kills_its_child_is_given_up
row 9: tests/integration/test_delivery.py::test_a_text_that_kills_its_workers_is_given_up_and_its_neighbour_is_spoken
row 10: tests/integration/test_sweeping.py::test_a_job_is_spoken_whose_message_became_unreadable
row 10: tests/integration/test_sweeping.py::test_a_job_is_spoken_whose_message_named_a_task_that_is_not_ours
row 13: tests/integration/test_queue.py::test_a_missing_queue_is_not_taken_for_a_confirm
row 14: tests/integration/test_backpressure.py::test_an_alarm_is_told_to_clients_and_a_late_delivery_does_no_harm
row 16: tests/integration/test_outages.py::test_a_job_is_finished_once_the_object_store_is_back
row 18: tests/integration/test_delivery.py::test_a_queued_job_that_is_cancelled_is_never_begun
row 18: tests/integration/test_delivery.py::test_a_running_job_that_is_cancelled_stops_at_its_next_utterance
row 20: tests/worker/test_settings.py::test_a_segment_must_end_before_the_broker_takes_it_back
row 22: tests/faults/test_soak.py::test_nothing_is_lost_in_a_soak

What the rows ask for in other words than this product has:

- Row 6 asks for both of Celery's pools. There is one: prefork, with one child.
- Rows 4 and 5 ask for a second run within 1 s. That it comes is shown, and not its time: tests measure none.
- Row 20 asks for a check at start-up of the broker's consumer_timeout. AMQP does not tell it, so a worker compares its
  limit with what its own setting says that the broker has.
"""

import ast
import os
import re
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kombu
import pytest

from cli.stack.folder import CODE_FOLDER
from shared.job_store import RedisJobStore
from shared.jobs import Lane
from shared.queue import DEAD_QUEUE, EXCHANGE, SPEAK_TASK, queue_name
from shared.topology import declare
from tests.api import Api, metric
from tests.faults.checks import Checks
from tests.faults.clients import Client, Sent, short_text
from tests.faults.crowd import everybody_works, publishing, succeeded
from tests.faults.faults import PAUSE_SECONDS
from tests.faults.holds import Hold, Kind, Moment
from tests.faults.rig import SERVERS, Member, Rig, signal_group
from tests.waiting import wait_for
from worker.bootsteps import LOAD_FAILED

pytestmark = pytest.mark.faults

ROWS = 22
BOOK_SEGMENTS = 300
LONG_PAUSE_SECONDS = 15  # seven heartbeats; the rig's sweeper takes an upload for dead after 20 s
CHINESE = "天色渐渐暗了下来，远处的山变成了一条长长的线，风从河的那一边慢慢地吹过来。"


@pytest.fixture
def api(rig: Rig) -> Iterator[Api]:
    with Api(rig.url) as api:
        yield api


@pytest.fixture
def long_form(request: pytest.FixtureRequest) -> bool:
    return request.config.getoption("--faults") == "long"


@pytest.fixture
def needs_long_form(long_form: bool) -> None:
    if not long_form:
        pytest.skip("takes minutes: only with --faults=long")


def held(rig: Rig, client: Client, moment: Moment = Moment.SPEAKING) -> tuple[Hold, Sent, Member]:
    """Submit a job that stays with a worker at that moment, until the hold is opened."""
    hold = rig.holds.at(moment, Kind.SEGMENT)
    hold.arm()
    sent = client.submit(short_text(f"held {moment}"))
    return hold, sent, rig.workers[hold.wait().worker]


def url(member: Member) -> str:
    return f"http://127.0.0.1:{member.port}"


def take_dead_letters(rig: Rig, count: int) -> list[str]:
    """Wait until so many messages are dead, and take them."""
    taken: list[str] = []
    connection: Any
    with kombu.Connection(rig.servers.environment()["EMOTIVOICE_BROKER_URL"]) as connection:

        def taken_all() -> bool:
            if message := connection.default_channel.basic_get(DEAD_QUEUE.name, no_ack=True):
                taken.append(body if isinstance(body := message.body, str) else bytes(body).decode())
            return len(taken) == count

        wait_for(taken_all)
    return taken


def test_a_worker_whose_engine_never_loads_ends_and_takes_no_message(rig: Rig, checks: Checks, api: Api) -> None:
    """C2 row 2: the engine hangs while it is loaded; one that fails is in the table above."""
    rig.holds.loading.close()
    job_id = api.submit(short_text("nobody yet"), lane="bulk")

    with rig.guest(Lane.BULK, EMOTIVOICE_LOAD_LIMIT_SECONDS="1") as guest:
        guest.launch()
        wait_for(lambda: not guest.process.running)

        assert guest.process.exit_code == LOAD_FAILED
        assert (api.job(job_id)["state"], api.job(job_id)["attempts"]) == ("queued", 0)
        rig.holds.loading.open()
        guest.launch()
        assert api.finished(job_id)["attempts"] == 1
    checks.nothing_left()


def test_a_worker_whose_idle_child_is_killed_takes_no_more_messages(rig: Rig, checks: Checks, client: Client) -> None:
    """C2 row 3: it pauses while the next child loads its engine; at most the one job is late that came too soon."""
    before = checks.before()
    paused = rig.workers["speaker-1"]
    rig.holds.loading.close()
    os.kill(paused.child(), signal.SIGKILL)
    sent = client.submit_all([short_text("the other speaker is awake") for _ in range(6)])

    wait_for(lambda: sum(succeeded(client, job) for job in sent) >= len(sent) - 1)
    wait_for(lambda: rig.unready() == "speaker-1")
    rig.holds.loading.open()

    rig.wait_ready()
    checks.final(before)
    checks.after([*sent, *everybody_works(rig, client)], before, client=client)


def test_a_main_process_that_is_killed_takes_its_child_along(
    rig: Rig, checks: Checks, client: Client, api: Api
) -> None:
    """C2 row 5: its job runs elsewhere, and the child that was at it does not go on."""
    before = checks.before()
    hold, sent, victim = held(rig, client)
    child = victim.child()

    os.kill(victim.process.pid, signal.SIGKILL)

    wait_for(lambda: not Path(f"/proc/{child}").exists())
    assert api.finished(sent.job_id)["attempts"] == 2
    hold.open()
    victim.launch()
    rig.wait_ready()
    checks.after([sent, *everybody_works(rig, client)], before, client=client, replaced=victim.name)


def test_a_draining_worker_keeps_its_heartbeat_and_its_job(
    rig: Rig, checks: Checks, client: Client, api: Api, long_form: bool
) -> None:
    """C2 row 6: SIGTERM in the middle of a job that outlasts the heartbeat; the other speaker has what is queued."""
    before = checks.before()
    hold, sent, leaving = held(rig, client)

    leaving.process.terminate()
    wait_for(lambda: leaving.name in rig.unready())
    queued = client.submit(short_text("queued behind it"))
    wait_for(lambda: succeeded(client, queued))
    time.sleep(LONG_PAUSE_SECONDS if long_form else PAUSE_SECONDS)
    hold.open()
    wait_for(lambda: not leaving.process.running)

    assert leaving.process.exit_code == 0
    assert api.finished(sent.job_id)["attempts"] == 1
    leaving.launch()
    rig.wait_ready()
    checks.after([sent, queued, *everybody_works(rig, client)], before, client=client, replaced=leaving.name)


def test_a_draining_worker_that_is_killed_loses_nothing(rig: Rig, checks: Checks, client: Client, api: Api) -> None:
    """C2 row 7: SIGTERM, and SIGKILL when the grace is over by somebody else's clock."""
    before = checks.before()
    hold, sent, leaving = held(rig, client)

    leaving.process.terminate()
    wait_for(lambda: leaving.name in rig.unready())
    leaving.process.kill()

    assert api.finished(sent.job_id)["attempts"] == 2
    hold.open()
    leaving.launch()
    rig.wait_ready()
    checks.after([sent, *everybody_works(rig, client)], before, client=client, replaced=leaving.name)


def test_a_worker_that_was_stopped_finds_its_job_done(rig: Rig, checks: Checks, client: Client, api: Api) -> None:
    """C2 row 8: SIGSTOP for longer than three heartbeats, when its audio was stored; then it goes on and is fenced."""
    before = checks.before()
    hold, sent, stopped = held(rig, client, Moment.BEFORE_FINISH)
    fenced = 'emotivoice_steps_total{outcome="job_finished",step="segment"}'
    was = metric(url(stopped), fenced)

    signal_group(stopped.process.pid, signal.SIGSTOP)
    time.sleep(PAUSE_SECONDS)
    assert api.finished(sent.job_id)["attempts"] == 2
    signal_group(stopped.process.pid, signal.SIGCONT)
    hold.open()

    wait_for(lambda: metric(url(stopped), fenced) == was + 1)
    rig.wait_ready()
    checks.after([sent, *everybody_works(rig, client)], before, client=client)


def test_what_no_worker_can_read_is_kept(rig: Rig, checks: Checks, client: Client, api: Api) -> None:
    """C2 row 10: broken JSON, an unknown task, wrong arguments, and a fault of ours end in the dead-letter queue."""
    before = checks.before()
    unreadable = [(SPEAK_TASK, '[["job'), ("tts.sing", '[["job", "0"], {}, {}]'), (SPEAK_TASK, '[["job"], {}, {}]')]
    connection: Any
    with kombu.Connection(rig.servers.environment()["EMOTIVOICE_BROKER_URL"]) as connection:
        channel = connection.default_channel
        for task, body in unreadable:
            headers = {"task": task, "id": uuid.uuid4().hex}
            message = channel.prepare_message(
                body, content_type="application/json", content_encoding="utf-8", headers=headers
            )
            channel.basic_publish(message, exchange=EXCHANGE.name, routing_key=queue_name(Lane.INTERACTIVE))
    broken = api.submit(f"Please break this, {uuid.uuid4().hex}.")

    assert api.finished(broken)["error"]["code"] == "internal_error"
    letters = take_dead_letters(rig, len(unreadable) + 1)
    assert {body for _, body in unreadable} < set(letters)
    assert any(broken in letter for letter in letters)
    checks.after(everybody_works(rig, client), before, client=client)


def test_a_worker_lives_on_after_a_harmful_text(rig: Rig, checks: Checks, client: Client, api: Api) -> None:
    """C2 row 11: no memory, SystemExit, a segment over its limit, and one that only SIGKILL ends."""
    before = checks.before()
    harmful = {"exhaust": "out_of_memory", "systemexit": "internal_error", "hang": "timed_out"}
    rig.holds.deaf.close()

    with rig.guest(Lane.BULK, EMOTIVOICE_SEGMENT_LIMIT_SECONDS="2") as guest:
        guest.launch()
        ids = {word: api.submit(f"Please {word}, {uuid.uuid4().hex}.", lane="bulk") for word in harmful}
        deaf = client.submit(short_text("a deaf engine"), lane="bulk")
        after = client.submit(short_text("somebody harmless"), lane="bulk")
        ended = {word: api.finished(job_id) for word, job_id in ids.items()}
        wait_for(lambda: api.job(deaf.job_id)["attempts"] == 2)  # over the limit and killed
        rig.holds.deaf.open()

        assert {word: job["error"]["code"] for word, job in ended.items()} == harmful
        assert [job["attempts"] for job in ended.values()] == [1] * len(harmful)
        checks.final(before)
        assert guest.process.running
    assert ids["systemexit"] in take_dead_letters(rig, 1)[0]
    checks.after([deaf, after], before, client=client)


def test_a_lane_whose_queue_was_deleted_refuses_and_one_with_workers_is_there_again(
    rig: Rig, checks: Checks, client: Client, api: Api
) -> None:
    """C2 row 13: what no queue takes is refused; workers declare theirs again, and what was in it is sent again."""
    before = checks.before()
    broker = rig.servers.broker
    assert broker
    broker.control("delete_queue", queue_name(Lane.BULK))
    refused = api.post("Hello?", lane="bulk")
    assert (refused.status_code, refused.json()["code"]) == (503, "queue_unavailable")
    declare(rig.servers.environment()["EMOTIVOICE_BROKER_URL"])

    holds = [rig.holds.at(moment, Kind.SEGMENT) for moment in (Moment.SPEAKING, Moment.BEFORE_ACK)]
    sent: list[Sent] = []
    for hold in holds:  # both speakers are busy
        hold.arm()
        sent.append(client.submit(short_text("in hand while the queue goes")))
        hold.wait()
    sent.append(client.submit(short_text("in the queue while it goes")))
    broker.control("delete_queue", queue_name(Lane.INTERACTIVE))
    for hold in holds:
        hold.open()

    sent.append(client.submit(short_text("after the queue was deleted")))
    checks.final(before)
    checks.after([*sent, *everybody_works(rig, client)], before, client=client)


def test_slow_and_broken_uploads_leave_no_half_of_an_object(rig: Rig, checks: Checks, client: Client, api: Api) -> None:
    """C2 row 16: S3 is slow; then the connection breaks in the middle of an upload, and it is tried again."""
    before = checks.before()
    ways = rig.ways_to("s3")
    for way in ways:
        way.bytes_per_second = 60_000
    slow = client.submit(short_text("a slow upload, of more than a second"))
    wait_for(lambda: succeeded(client, slow))
    assert api.job(slow.job_id)["attempts"] == 1

    given_up = 'emotivoice_step_retries_total{code="storage_unavailable"}'
    was = sum(metric(url(worker), given_up) for worker in rig.workers.values())
    broken = client.submit(short_text("an upload that breaks in the middle"))
    wait_for(lambda: any(left.startswith("uploading") for left in checks.unswept()))
    time.sleep(0.5)
    for way in ways:
        way.cut()
    wait_for(lambda: sum(metric(url(worker), given_up) for worker in rig.workers.values()) > was)
    assert not checks.orphans()
    for way in ways:
        way.heal()
    assert api.finished(broken.job_id)["attempts"] == 2
    checks.after([slow, broken], before, client=client)


@pytest.mark.usefixtures("needs_long_form")
@pytest.mark.timeout(600)
def test_a_job_whose_audio_nobody_takes_fails_in_the_end(rig: Rig, checks: Checks, client: Client, api: Api) -> None:
    """C2 row 16: S3 is away for longer than a job is tried again."""
    rig.server("s3").kill()
    job_id = api.submit(short_text("no shelf for this"))
    wait_for(lambda: rig.unready() == "gateway")

    job = api.finished(job_id, seconds=400)

    assert (job["state"], job["error"]["code"], job["result"]) == ("failed", "storage_unavailable", None)
    rig.launch_server("s3")
    rig.wait_ready()
    before = checks.before()
    checks.after(everybody_works(rig, client), before, client=client)


@pytest.mark.timeout(300)
def test_connections_that_close_all_the_time(rig: Rig, checks: Checks, client: Client, long_form: bool) -> None:
    """C2 row 17: everybody's connections to every server are reset, every 3 s."""
    before = checks.before()
    with publishing(client) as published:
        for _ in range(20 if long_form else 5):
            time.sleep(3)
            for way in [way for server in SERVERS for way in rig.ways_to(server)]:
                way.reset()
    rig.wait_ready()
    checks.final(before)
    checks.after([*published, *everybody_works(rig, client)], before, client=client)


def test_a_job_that_was_cancelled_before_there_was_a_worker_is_never_begun(rig: Rig, checks: Checks, api: Api) -> None:
    """C2 row 18: its message is still there when a worker comes."""
    cancelled, other = api.submit(short_text("nobody"), lane="bulk"), api.submit(short_text("somebody"), lane="bulk")
    assert api.http.delete(f"/v1/jobs/{cancelled}").json()["state"] == "cancelled"

    with rig.guest(Lane.BULK) as guest:
        guest.launch()
        assert api.finished(other)["state"] == "succeeded"

    job = api.job(cancelled)
    assert (job["state"], job["attempts"], job["started_at"]) == ("cancelled", 0, None)
    checks.nothing_left()


def book(segments: int) -> str:
    """Return a text of so many segments that sound shorter than they are estimated."""
    named = uuid.uuid4().hex
    return "\n\n".join(f"第{number}段，{named}。{CHINESE}{CHINESE}" for number in range(segments))


@pytest.mark.timeout(300)
def test_a_book_is_joined_once_whatever_dies_on_the_way(rig: Rig, checks: Checks, client: Client, api: Api) -> None:
    """C2 row 19: 300 segments, four SIGKILLs to workers and children, and a restart of Redis."""
    before = checks.before()
    speaker, other, assembler = rig.workers.values()
    joining = rig.holds.at(Moment.JOINING, Kind.JOIN)
    joining.arm()
    sent = client.submit(book(BOOK_SEGMENTS))

    def spoken(segments: int) -> None:
        wait_for(lambda: api.job(sent.job_id)["progress"]["segments_done"] >= segments, seconds=120, every=0.1)

    for done in (40, 160):
        spoken(done)
        speaker.process.kill()
        speaker.launch()
    os.kill(other.child(), signal.SIGKILL)
    spoken(220)
    rig.server("redis").kill()
    rig.launch_server("redis")
    wait_for(lambda: api.http.get("/readyz").status_code == 200)
    spoken(BOOK_SEGMENTS)
    os.kill(joining.wait(seconds=60).child, signal.SIGKILL)

    job = api.finished(sent.job_id, seconds=60)
    assert job["progress"] == {"segments_done": BOOK_SEGMENTS, "segments_total": BOOK_SEGMENTS}
    assert metric(url(assembler), 'emotivoice_steps_total{outcome="done",step="join"}') >= 1
    rig.wait_ready()
    checks.after([sent], before, client=client, replaced=speaker.name)


def test_a_worker_does_not_start_whose_segments_may_outlast_the_brokers_patience(rig: Rig, api: Api) -> None:
    """C2 row 20: a job of 25 s on a broker that takes it back after 10 s."""
    limits = {"EMOTIVOICE_SEGMENT_LIMIT_SECONDS": "25", "EMOTIVOICE_CONSUMER_TIMEOUT_SECONDS": "10"}

    with rig.guest(Lane.BULK, **limits) as guest:
        guest.launch()
        wait_for(lambda: not guest.process.running)

        assert guest.process.exit_code
        assert "the broker takes a message back after 10 s" in guest.process.log_tail()


def test_jobs_that_wait_for_the_same_audio_come_again_and_again(rig: Rig, checks: Checks, client: Client) -> None:
    """C2 row 21: their messages go through the delayed queues eight times, for a second each, and all arrive."""
    before = checks.before()
    store = RedisJobStore(rig.servers.environment()["EMOTIVOICE_REDIS_URL"])
    hold, first, _ = held(rig, client)
    same = [client.submit(first.text) for _ in range(2)]

    def delays(job: Sent) -> int:
        found = store.load(job.job_id, "0")
        return found[1].put_back if found else 0

    wait_for(lambda: min(map(delays, same)) >= 8, seconds=60)
    hold.open()

    checks.final(before)
    checks.after([first, *same], before, client=client)


def test_every_row_has_its_test() -> None:
    shown = re.findall(r"^row (\d+): (\S+)::(\w+)$", __doc__ or "", re.MULTILINE)
    for _, file, name in shown:
        assert name in functions(CODE_FOLDER / file), f"{file} has no {name}"
    here = [text for file in Path(__file__).parent.glob("test_*.py") for text in functions(file).values()]
    rows = {int(row) for row, _, _ in shown}
    for text in here:
        if found := re.match(r"C2 rows? ([\d, and]+)", text):
            rows |= {int(row) for row in re.findall(r"\d+", found.group(1))}
    assert rows == set(range(1, ROWS + 1)), f"no test: {set(range(1, ROWS + 1)) - rows}"


def functions(file: Path) -> dict[str, str]:
    """Return the first lines of the docstrings of a file's functions by their names."""
    tree = ast.parse(file.read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {node.name: (ast.get_docstring(node) or "").partition("\n")[0] for node in found}
