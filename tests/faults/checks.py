"""What must be true after any fault: nothing lost, nothing done twice visibly, nothing left behind."""

import hashlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import redis
from minio import Minio

from shared.jobs import FINISHED, PLAN, Job, JobState, Lane
from shared.records import events_key, job_key, load_audio, load_job
from tests.engines import ObedientEngine
from tests.fakes import InMemoryJobStore, InMemoryObjectStore, InMemoryQueue
from tests.faults.clients import Client, Sent
from tests.faults.rig import Rig
from tests.waiting import wait_for
from tests.worker.conftest import World
from worker.settings import WorkerSettings

FINAL_SECONDS = 90.0  # after the last fault
IDLE_SECONDS = 45.0  # after the last job, for what is swept
QUEUE_LENGTHS = """
Length = fun(Q, Count) ->
  case catch ra:leader_query(amqqueue:get_pid(Q), Count) of {ok, {_, N}, _} -> N; _ -> -1 end end,
Show = fun(Q) ->
  io:format(" ~s=~p", [element(4, amqqueue:get_name(Q)), Length(Q, fun rabbit_fifo:query_messages_total/1)]) end,
io:format("~p", [length(rabbit_networking:local_connections())]),
lists:foreach(Show, rabbit_amqqueue:list()),
ok.
"""
MOST_CONNECTIONS = {"rabbitmq": 6, "redis": 12, "s3": 12}  # of one process and its child to one server
SPARE_FILES = 12  # open files of a gateway that come and go with the requests of the moment


@cache
def right_audio(text: str, *, long: bool) -> str:
    """Return the SHA-256 of the audio that a worker makes of the text where nothing ever fails."""
    world = World(InMemoryJobStore(), InMemoryObjectStore(), InMemoryQueue(), ObedientEngine(), WorkerSettings())
    job_id = world.submit(text, long=long)
    world.work_off(job_id, PLAN if long else "0")
    return hashlib.sha256(world.stored(job_id)).hexdigest()


@dataclass(frozen=True)
class Before:
    """How it was before the fault."""

    newest_job: str
    pids: dict[str, int]
    gateway_files: int


class Checks:
    """Looks at the servers directly, past every proxy."""

    def __init__(self, rig: Rig) -> None:
        environment = rig.servers.environment()
        self._rig = rig
        self._redis: Any = cast(Any, redis.Redis).from_url(environment["EMOTIVOICE_REDIS_URL"], decode_responses=True)
        self._bucket = environment["EMOTIVOICE_S3_BUCKET"]
        self._s3 = Minio(
            environment["EMOTIVOICE_S3_ENDPOINT"].removeprefix("http://"),
            access_key=environment["EMOTIVOICE_S3_ACCESS_KEY"],
            secret_key=environment["EMOTIVOICE_S3_SECRET_KEY"],
            region=environment["EMOTIVOICE_S3_REGION"],
            secure=False,
        )

    def before(self) -> Before:
        pids = {member.name: member.process.pid for member in self._rig.members}
        return Before(next(iter(self._newest(1)), ""), pids, open_files(self._rig.gateway.process.pid))

    def after(self, sent: Sequence[Sent], before: Before, *, client: Client, replaced: str = "") -> None:
        """Check everything.

        Args:
            sent: every job that was accepted since `before`.
            replaced: the process that the fault has ended; nobody else may have been started again.
        """
        jobs = self.jobs_since(before.newest_job)
        assert {job.job_id for job in sent} <= set(jobs), "an accepted job has no record"
        for job in sent:
            self.right(job, client)
        self.each_ended_once(jobs)
        self.nothing_left()
        self.nobody_restarted(before, but=replaced)
        self.no_file_left()
        self.no_connection_left(before, gateway_restarted=replaced == "gateway")

    def final(self, before: Before, *, seconds: float = FINAL_SECONDS) -> None:
        """Wait until every job since then is in a final state."""
        started = time.monotonic()

        def unfinished() -> list[str]:
            jobs = self.jobs_since(before.newest_job).values()
            return [f"{job.id} {job.state}" for job in jobs if job.state not in FINISHED]

        while left := unfinished():
            assert time.monotonic() - started < seconds, f"not final after {seconds:g} s: {left}"
            time.sleep(0.05)

    def jobs_since(self, newest_job: str) -> dict[str, Job]:
        """Return the records of all jobs after that one, by id."""
        ids: list[str] = self._redis.zrange("jobs", f"({newest_job}" if newest_job else "-", "+", bylex=True)
        raw: list[str | None] = self._redis.mget([job_key(job_id) for job_id in ids]) if ids else []
        return {job_id: load_job(record) for job_id, record in zip(ids, raw, strict=True) if record}

    def right(self, sent: Sent, client: Client) -> None:
        """The job has succeeded, and its audio is what its record says, and what its text gives."""
        job = client.get(f"/v1/jobs/{sent.job_id}").json()
        assert job["state"] == "succeeded", f"an accepted job has not succeeded: {job}"
        answer = client.get(f"/v1/jobs/{sent.job_id}/audio")
        assert answer.status_code == 200, answer.text
        digest = hashlib.sha256(answer.content).hexdigest()
        assert digest == job["result"]["sha256"], "the audio is not what its record says"
        assert digest == right_audio(sent.text, long=sent.long), "the audio is not what its text gives"

    def each_ended_once(self, jobs: dict[str, Job]) -> None:
        for job in jobs.values():
            events = [json.loads(data["data"]) for _, data in self._redis.xrange(events_key(job.id))]
            final = [event for event in events if JobState(event["state"]) in FINISHED]
            assert len(final) == 1, f"{job.id} ended {len(final)} times: {events}"
            assert events[-1] is final[0], f"{job.id} changed after its end: {events}"
            assert all(event["segments_done"] <= (event["segments_total"] or 1) for event in events), events
            if job.state is JobState.SUCCEEDED:
                assert job.segments_done == job.segments_total, job

    def nothing_left(self) -> None:
        """No step waits or is leased, no message is in a queue, no object is without a record."""
        wait_for_none(self.unswept)
        wait_for_none(self.left_at_the_broker)
        wait_for_none(self.orphans)

    def unswept(self) -> list[str]:
        """What is in Redis only while somebody works."""
        ordered = ["leases", "uploading", *(f"waiting:{lane}" for lane in Lane)]
        found: dict[str, list[str]] = {name: self._redis.zrange(name, 0, -1) for name in ordered}
        found["garbage"] = list(self._redis.zrange("garbage", 0, -1))
        left = [f"{name}: {members}" for name, members in found.items() if members]
        rest = ("speaking:*", "parked:*", "parking:*", "sent:*")
        return left + [name for pattern in rest for name in self._redis.scan_iter(pattern, count=1000)]

    def left_at_the_broker(self) -> list[str]:
        """Queues that are not empty, ready and unacknowledged messages counted; connections of which nobody knows."""
        broker = self._rig.servers.broker
        assert broker
        connections, *queues = broker.control("eval", QUEUE_LENGTHS).split("\n")[0].removesuffix("ok").split()
        unknown = int(connections) - sum(proxy.connections for proxy in self._rig.ways_to("rabbitmq"))
        full = [queue for queue in queues if not queue.endswith("=0")]
        return [*full, f"{unknown} connections"] if unknown > 0 else full

    def orphans(self) -> list[str]:
        """Objects in S3 that no record points to, and records whose object is not there."""
        stored = {str(found.object_name) for found in self._s3.list_objects(self._bucket, recursive=True)}
        names = [name for name in self._redis.scan_iter("audio:*", count=1000) if re.fullmatch("audio:[0-9a-f]+", name)]
        raw: list[str | None] = self._redis.mget(names) if names else []
        known = {load_audio(record).key for record in raw if record and record != "deleting"}
        return sorted(stored ^ known)

    def nobody_restarted(self, before: Before, *, but: str) -> None:
        for member in self._rig.members:
            if member.name != but:
                assert member.process.running, f"{member.name} has ended: {member.process.log_tail()}"
                assert member.process.pid == before.pids[member.name], f"{member.name} was started again"

    def no_file_left(self) -> None:
        """A running worker has three folders of its own, the others none; and there is no temporary file."""
        for member in self._rig.members:
            kinds = sorted(re.sub("-[^-]*$", "", path.name) for path in member.temporary.iterdir())
            assert len(kinds) == len(set(kinds)), f"{member.name} left temporary files: {kinds}"
            assert set(kinds) <= {"emotivoice-metrics", "emotivoice-ready", "pymp"}, f"{member.name}: {kinds}"

    def no_connection_left(self, before: Before, *, gateway_restarted: bool) -> None:
        rig = self._rig
        for member in rig.members:
            for server, most in MOST_CONNECTIONS.items():
                wait_for(lambda: member.proxies[server].connections <= most)  # noqa: B023 - called at once
        if not gateway_restarted:
            wait_for(lambda: open_files(rig.gateway.process.pid) <= before.gateway_files + SPARE_FILES)

    def _newest(self, count: int) -> list[str]:
        return self._redis.zrange("jobs", "+", "-", desc=True, bylex=True, offset=0, num=count)


def wait_for_none(look: Any) -> None:
    """Wait until nothing is left; what is left is the message otherwise."""
    deadline = time.monotonic() + IDLE_SECONDS
    while left := look():
        assert time.monotonic() < deadline, f"left after {IDLE_SECONDS:g} s: {left}"
        time.sleep(0.1)


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
