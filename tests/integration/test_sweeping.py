"""The sweeper among real servers: whatever was lost on the way is done in the end, and what is over goes."""

import asyncio
import io
import os
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import kombu
import pytest
import redis
import uuid_utils

from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import LOOPBACK, free_ports, http_ok
from cli.stack.process import Command, Process, kill_all
from cli.stack.servers import LocalServers
from shared import records
from shared.async_job_store import AsyncRedisJobStore
from shared.audio_address import audio_key
from shared.job_store import RedisJobStore
from shared.jobs import JOIN, Job, Lane, SpeechRequest
from shared.object_store import S3ObjectStore
from shared.ports import Holder
from shared.queue import DEAD_QUEUE, EXCHANGE, SPEAK_TASK, SweeperQueue, make_app, queue_name, worker_queue
from shared.settings import SharedSettings
from shared.topology import declare
from tests.api import Json, metric
from tests.integration.conftest import RunningFleet, stopped
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

SWEEP_SECONDS, PATIENCE_SECONDS = 0.1, 1.0
HASTE = {
    "EMOTIVOICE_SWEEP_SECONDS": str(SWEEP_SECONDS),
    "EMOTIVOICE_PATIENCE_SECONDS": str(PATIENCE_SECONDS),
    "EMOTIVOICE_UPLOAD_SECONDS": "60",
}
SENTENCE = "The quick brown fox jumps over the lazy dog, and then it sleeps until noon."

FAILS_WITHOUT = {"rabbitmq": ("republish", "queue_unavailable"), "s3": ("delete", "storage_unavailable")}

_numbers = count(1)


@dataclass(frozen=True)
class OneSweeper:
    """A sweeper that a test started itself."""

    process: Process
    url: str

    @property
    def works(self) -> bool:
        return self.process.running and metric(self.url, "emotivoice_sweeper_working") == 1

    def rounds(self, part: str, outcome: str = "done") -> float:
        return metric(self.url, f'emotivoice_sweeper_rounds_total{{outcome="{outcome}",part="{part}"}}')

    def sent_again(self, lane: Lane, reason: str) -> float:
        return metric(self.url, f'emotivoice_sweeper_republished_total{{lane="{lane}",reason="{reason}"}}')


@dataclass(frozen=True)
class Swept:
    """The fleet, with a sweeper in a hurry, and the servers behind it."""

    fleet: RunningFleet
    sweeper: OneSweeper
    redis: Any
    objects: S3ObjectStore

    @property
    def settings(self) -> dict[str, str]:
        return self.fleet.servers.environment()

    @contextmanager
    def broker(self) -> Generator[Any]:
        """Within the context, a channel of our own."""
        connection: Any
        with kombu.Connection(self.settings["EMOTIVOICE_BROKER_URL"]) as connection:
            yield connection.default_channel

    def ready_messages(self, queue: str) -> int:
        with self.broker() as channel:
            return channel.queue_declare(queue=queue, passive=True).message_count

    def lose_messages(self, lane: Lane, *, at_least: int = 1) -> None:
        """Empty the queue of a lane, once as many messages are in it."""
        wait_for(lambda: self.ready_messages(queue_name(lane)) >= at_least)
        with self.broker() as channel:
            channel.queue_purge(queue_name(lane))

    def record(self, text: str, **fields: Any) -> Job:
        """Record a job as a gateway does that is killed before it enqueues it."""
        lane = fields.pop("lane", Lane.INTERACTIVE)
        job = Job(str(uuid_utils.uuid7()), lane, len(text), time.time(), **fields)
        request = SpeechRequest(text, "hum", "neutral", 1.0, 1.0, "wav", 16_000, 0)

        async def create() -> None:
            store = AsyncRedisJobStore(self.settings["EMOTIVOICE_REDIS_URL"])
            await store.create(job, request)
            await store.close()

        asyncio.run(create())
        return job

    def stored(self, job: Json) -> str:
        """Return the key of the object that has the job's audio, which is there."""
        address = records.load_job(self.redis.get(records.job_key(job["id"]))).audio_address
        audio = records.load_audio(self.redis.get(records.audio_record_key(address or "")))
        assert self.objects.exists(audio.key, bytes=audio.bytes)
        return audio.key

    def is_there(self, key: str) -> bool:
        try:
            return bool(next(self.objects.read(key)))
        except Exception:
            return False

    def let_time_pass(self, job_id: str) -> None:
        """Make the job's time be over."""
        self.redis.zadd(records.EXPIRING, {job_id: 1.0}, xx=True)

    def rounds_pass(self, number: int, part: str = "delete") -> None:
        """Wait until that many rounds were begun and ended from now on."""
        before = self.sweeper.rounds(part)
        wait_for(lambda: self.sweeper.rounds(part) > before + number)


def new_sweeper(fleet: RunningFleet, **settings: str) -> OneSweeper:
    """Return a sweeper in a hurry, not started yet."""
    (port,) = free_ports(1)
    name = f"sweeper-{next(_numbers)}"
    environment = {**os.environ, **fleet.servers.environment(), **HASTE, **settings}
    environment["EMOTIVOICE_SWEEPER_HEALTH_PORT"] = str(port)
    command = Command([sys.executable, "-m", "sweeper"], fleet.servers.folder.log(name), environment, CODE_FOLDER)
    process = Process(name, command, answers=lambda: http_ok(port, "/readyz"))
    return OneSweeper(process, f"http://{LOOPBACK}:{port}")


@pytest.fixture(scope="module")
def hasty(shared_fleet: RunningFleet) -> Iterator[OneSweeper]:
    """Sweeps instead of the fleet's own."""
    usual = shared_fleet.fleet.sweeper
    usual.stop()
    sweeper = new_sweeper(shared_fleet)
    sweeper.process.start()
    wait_for(lambda: sweeper.works)
    yield sweeper
    sweeper.process.stop()
    usual.start()


@pytest.fixture
def swept(fleet: RunningFleet, hasty: OneSweeper) -> Iterator[Swept]:
    settings = fleet.servers.environment()
    client: Any = redis.Redis.from_url(settings["EMOTIVOICE_REDIS_URL"], decode_responses=True)  # pyright: ignore[reportUnknownMemberType]
    names = {name.removeprefix("EMOTIVOICE_").lower(): value for name, value in settings.items()}
    with client:
        yield Swept(fleet, hasty, client, S3ObjectStore(SharedSettings.model_validate(names)))
    assert hasty.process.running


@pytest.fixture
def alone(swept: Swept) -> Iterator[OneSweeper]:
    """Another sweeper, not started yet, and no other beside it."""
    swept.sweeper.process.stop()
    sweeper = new_sweeper(swept.fleet)
    yield sweeper
    sweeper.process.stop()
    swept.sweeper.process.start()
    wait_for(lambda: swept.sweeper.works)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def spoken(swept: Swept, job_id: str) -> Json:
    job = swept.fleet.api.finished(job_id)
    assert job["state"] == "succeeded", job
    return job


def test_a_job_whose_gateway_died_before_it_enqueued_it_is_spoken(swept: Swept) -> None:
    before = swept.sweeper.sent_again(Lane.INTERACTIVE, "stranded")

    job = swept.record("Nobody was told of this.")

    assert spoken(swept, job.id)["attempts"] == 1
    assert swept.sweeper.sent_again(Lane.INTERACTIVE, "stranded") > before


def test_a_long_job_whose_gateway_died_is_spoken_too(swept: Swept) -> None:
    text = "\n\n".join([SENTENCE * 6] * 3)

    job = swept.record(text, lane=Lane.BULK, long=True, segments_total=0)

    assert spoken(swept, job.id)["progress"] == {"segments_done": 3, "segments_total": 3}


def test_jobs_whose_messages_were_lost_are_spoken(swept: Swept) -> None:
    with swept.fleet.without_worker(Lane.INTERACTIVE):
        jobs = [swept.fleet.api.submit(f"The broker forgot this, {number}.") for number in range(5)]
        swept.lose_messages(Lane.INTERACTIVE, at_least=5)

    assert [spoken(swept, job)["attempts"] for job in jobs] == [1] * 5


def test_segments_whose_messages_were_lost_are_spoken(swept: Swept) -> None:
    with swept.fleet.without_worker(Lane.BULK):
        job = swept.fleet.api.submit("\n\n".join([SENTENCE * 6] * 3), lane="bulk")
        swept.lose_messages(Lane.BULK, at_least=3)

    spoken(swept, job)


def test_a_job_whose_join_was_lost_is_joined(swept: Swept) -> None:
    swept.fleet.gate.close()
    job = swept.fleet.api.submit("\n\n".join([f"Please wait. {SENTENCE * 6}"] * 2), lane="bulk")
    wait_for(lambda: swept.fleet.api.job(job)["progress"]["segments_total"] == 2)

    with swept.fleet.without_worker(Lane.ASSEMBLY):
        swept.fleet.gate.open()
        wait_for(lambda: swept.redis.zscore(records.waiting_key(Lane.ASSEMBLY), f"{job}:{JOIN}"))
        wait_for(lambda: metric(swept.fleet.worker_url(Lane.BULK), "emotivoice_steps_in_hand") == 0)
        swept.lose_messages(Lane.ASSEMBLY)

    spoken(swept, job)


def test_a_step_whose_worker_and_message_are_both_gone_is_spoken(swept: Swept) -> None:
    before = swept.sweeper.sent_again(Lane.INTERACTIVE, "lapsed")
    with swept.fleet.without_worker(Lane.INTERACTIVE):
        swept.fleet.gate.close()
        doomed = swept.fleet.new_worker(EMOTIVOICE_LEASE_SECONDS="1")
        doomed.process.start()
        job = swept.fleet.api.submit("Please wait for the end.")
        swept.fleet.api.running(job)

        doomed.process.kill()
        swept.lose_messages(Lane.INTERACTIVE)
        swept.fleet.gate.open()

    assert spoken(swept, job)["attempts"] == 2
    assert swept.sweeper.sent_again(Lane.INTERACTIVE, "lapsed") > before


def test_no_duplicates_pile_up_while_nobody_works(swept: Swept) -> None:
    patiences, window = 4, SharedSettings().interactive_window
    with swept.fleet.without_worker(Lane.INTERACTIVE):
        jobs = [swept.fleet.api.submit(f"In a long queue, {number}.") for number in range(2 * window)]
        wait_for(lambda: swept.ready_messages("tts.interactive") == window)  # the rest is parked

        swept.rounds_pass(int(patiences * PATIENCE_SECONDS / SWEEP_SECONDS), "republish")

        assert swept.ready_messages("tts.interactive") == window
    assert {spoken(swept, job)["attempts"] for job in jobs} == {1}


def test_a_job_expires_and_is_forgotten(swept: Swept) -> None:
    """The time that it is kept begins anew each time."""
    job = swept.record("Keep this for some seconds.", keep_seconds=5)
    audio = swept.stored(spoken(swept, job.id))

    expired = wait_for(lambda: (now := swept.fleet.api.job(job.id))["state"] == "expired" and now)

    answer = swept.fleet.api.http.get(f"/v1/jobs/{job.id}/audio")
    assert (answer.status_code, answer.json()["code"]) == (410, "audio_expired")
    assert expired["result"] is None
    wait_for(lambda: not swept.is_there(audio))
    wait_for(lambda: swept.fleet.api.http.get(f"/v1/jobs/{job.id}").status_code == 404)
    assert not [key for key in swept.redis.scan_iter(count=1000) if job.id in key]


def test_a_job_that_nobody_finishes_expires_too(swept: Swept) -> None:
    with swept.fleet.without_worker(Lane.INTERACTIVE):
        job = swept.fleet.api.submit("Nobody ever comes for this.")
        swept.let_time_pass(job)

        assert swept.fleet.api.finished(job)["state"] == "expired"

    swept.fleet.api.spoken("The worker is back, and has met the message of the other job.")
    assert swept.fleet.api.job(job)["attempts"] == 0


def test_audio_of_two_jobs_stays_until_the_second_expires(swept: Swept) -> None:
    text = f"We both say this, {time.time_ns()}."
    one, other = swept.fleet.api.spoken(text), swept.fleet.api.spoken(text)
    audio = swept.stored(one)
    assert swept.stored(other) == audio

    swept.let_time_pass(one["id"])
    wait_for(lambda: swept.fleet.api.job(one["id"])["state"] == "expired")
    swept.rounds_pass(3)
    assert swept.fleet.api.audio(other["id"])

    swept.let_time_pass(other["id"])
    wait_for(lambda: not swept.is_there(audio))
    again = swept.fleet.api.spoken(text)  # what was let go can be made again
    assert swept.fleet.api.audio(again["id"])


def test_what_a_worker_left_that_died_before_it_could_record_it_is_deleted(swept: Swept) -> None:
    address = uuid_utils.uuid7().hex * 2
    key = audio_key(address, extension="wav")
    store = RedisJobStore(swept.settings["EMOTIVOICE_REDIS_URL"])
    store.find_audio(address, key=key, holder=Holder("a step", "a worker that is no more"), seconds=1)
    swept.objects.put(key, io.BytesIO(b"RIFF"), length=4, content_type="audio/wav")

    swept.rounds_pass(3)
    assert swept.is_there(key)  # its worker might still be about to record it

    swept.redis.zadd(records.UPLOADING, {key: time.time() - 61}, xx=True)
    wait_for(lambda: not swept.is_there(key))
    wait_for(lambda: not swept.redis.exists(records.audio_record_key(address)))  # it may be made again
    assert swept.redis.zscore(records.UPLOADING, key) is None


def test_what_could_not_be_deleted_while_s3_was_away_is_deleted_later(swept: Swept) -> None:
    job = swept.fleet.api.spoken(f"Remove this, {time.time_ns()}.")
    audio = swept.stored(job)
    with stopped(swept.fleet.servers.s3):
        assert swept.fleet.api.http.delete(f"/v1/jobs/{job['id']}").status_code == 204
        before = swept.sweeper.rounds("expire")
        wait_for(lambda: swept.sweeper.rounds("delete", "storage_unavailable") > 0)
        wait_for(lambda: metric(swept.sweeper.url, "emotivoice_garbage_objects") == 1)
        wait_for(lambda: swept.sweeper.rounds("expire") > before + 1)  # what does not need S3 goes on

    wait_for(lambda: not swept.is_there(audio))
    wait_for(lambda: metric(swept.sweeper.url, "emotivoice_garbage_objects") == 0)


def dead_letters(swept: Swept) -> int:
    return swept.ready_messages(DEAD_QUEUE.name)


def test_a_job_is_spoken_whose_message_became_unreadable(swept: Swept) -> None:
    """Not acknowledged away: it is in the dead-letter queue, and its job gets a new one."""
    dead = dead_letters(swept)
    job = swept.record("My message was broken on the way.")
    send(swept, b'[["' + job.id.encode(), {"task": SPEAK_TASK, "id": job.id})

    assert spoken(swept, job.id)["attempts"] == 1
    wait_for(lambda: dead_letters(swept) == dead + 1)
    wait_for(lambda: metric(swept.sweeper.url, "emotivoice_dead_letters") == dead + 1)


def test_a_job_is_spoken_whose_message_named_a_task_that_is_not_ours(swept: Swept) -> None:
    dead = dead_letters(swept)
    job = swept.record("My message was for somebody else.")
    send(swept, f'[["{job.id}", "0"], {{}}, {{}}]'.encode(), {"task": "somebody.elses", "id": job.id})

    assert spoken(swept, job.id)["attempts"] == 1
    wait_for(lambda: dead_letters(swept) == dead + 1)


def test_a_job_is_spoken_whose_message_was_handed_out_too_often(swept: Swept) -> None:
    """By the broker's count: it never came to a worker that could begin."""
    dead = dead_letters(swept)
    with swept.fleet.without_worker(Lane.INTERACTIVE):
        job = swept.fleet.api.submit("Twenty times nobody could begin this.")
        with swept.broker() as channel:
            while dead_letters(swept) == dead:
                if message := channel.basic_get(queue_name(Lane.INTERACTIVE)):
                    channel.basic_reject(message.delivery_tag, requeue=True)

    assert spoken(swept, job)["attempts"] == 1


def send(swept: Swept, body: bytes, headers: dict[str, str]) -> None:
    """Publish a message as it should not be."""
    options = {"content_type": "application/json", "content_encoding": "utf-8"}
    with swept.broker() as channel:
        message = channel.prepare_message(body, headers=headers, **options)
        channel.basic_publish(message, exchange=EXCHANGE.name, routing_key=queue_name(Lane.INTERACTIVE))


def test_another_sweeper_takes_over_when_the_first_one_stops_or_dies(swept: Swept) -> None:
    heirs = [new_sweeper(swept.fleet), new_sweeper(swept.fleet)]
    try:
        for heir in heirs:
            heir.process.start()
        assert not any(heir.works for heir in heirs)

        swept.sweeper.process.stop()
        assert swept.sweeper.process.exit_code == 0
        wait_for(lambda: any(heir.works for heir in heirs), seconds=10)
        (working,) = (heir for heir in heirs if heir.works)
        (other,) = (heir for heir in heirs if heir is not working)

        working.process.kill()
        wait_for(lambda: other.works, seconds=25)
        spoken(swept, swept.record("Sent by the last one.").id)
    finally:
        kill_all([heir.process for heir in heirs])
        swept.sweeper.process.start()
        wait_for(lambda: swept.sweeper.works)


@pytest.mark.parametrize("name", ["rabbitmq", "redis", "s3"])
def test_a_sweeper_goes_on_by_itself_when_a_server_is_back(swept: Swept, alone: OneSweeper, name: str) -> None:
    """It was away when the sweeper started, and once more later."""
    server: Process = getattr(swept.fleet.servers, name)
    swept.redis.zadd(records.GARBAGE, {audio_key("0" * 64, extension="wav"): 0.0})  # something to ask S3 for
    with stopped(server):
        alone.process.launch()
        wait_for(lambda: answers(f"{alone.url}/livez"))
        if name != "redis":  # it waits for Redis about a minute before it says so
            part, outcome = FAILS_WITHOUT[name]
            wait_for(lambda: alone.rounds(part, outcome) > 0)
    pid = wait_for(lambda: alone.process.ready() and alone.process.pid)
    spoken(swept, swept.record(f"Sent when {name} was there.").id)

    with stopped(server):
        pass
    spoken(swept, swept.record(f"Sent when {name} was back.").id)
    assert alone.process.pid == pid


def test_a_broker_that_takes_no_messages_keeps_nothing_else_from_being_done(swept: Swept) -> None:
    """Short of memory, it takes them and never confirms."""
    broker = swept.fleet.servers.broker
    assert broker
    before = swept.sweeper.rounds("republish", "queue_unavailable")
    broker.control("set_vm_memory_high_watermark", "0.00001")
    try:
        job = swept.record("The broker is full.")
        wait_for(lambda: swept.sweeper.rounds("republish", "queue_unavailable") > before)
        swept.rounds_pass(0, "expire")
    finally:
        broker.control("set_vm_memory_high_watermark", "absolute", "1GB")

    spoken(swept, job.id)


def test_a_sweeper_stops_soon_even_while_redis_is_away(swept: Swept, alone: OneSweeper) -> None:
    alone.process.start()
    with stopped(swept.fleet.servers.redis):
        alone.process.stop(timeout_seconds=30)

    assert alone.process.exit_code == 0


def test_over_redis_the_messages_of_a_lane_are_counted_too(servers: LocalServers) -> None:
    url = f"{servers.environment()['EMOTIVOICE_REDIS_URL'].rpartition('/')[0]}/3"
    queue = SweeperQueue(url)
    declare(url)
    assert queue.ready_messages() == dict.fromkeys(Lane, 0)

    worker_queue(make_app(url)).enqueue("job", "0", lane=Lane.BULK)
    queue.enqueue("job", "1", lane=Lane.BULK)

    assert queue.ready_messages() == {**dict.fromkeys(Lane, 0), Lane.BULK: 2}
    assert queue.dead_letters() == 0
