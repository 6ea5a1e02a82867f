"""Whatever the order in which workers, sweeper, clients and faults come, no job is lost and none is done twice.

Hypothesis chooses the order, on a real Redis; a failure is shown as the shortest sequence of steps that leads to it.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cli.stack.servers import LocalServers
from shared import records
from shared.async_job_store import AsyncRedisJobStore
from shared.jobs import FINISHED, Job, JobState, Lane, SpeechRequest, StepState
from shared.redis_clients import patient_client
from shared.sweep_store import RedisSweepStore
from sweeper.sweeping import Servers, Sweeper, Terms
from tests.fakes import InMemoryObjectStore
from tests.integration.interleaving import LEASE_SECONDS, Broker, Message, Worker, settle
from worker import claims, planning
from worker.attempt import enqueue_next

pytestmark = pytest.mark.integration

DATABASE = 9  # of the Redis of this test run: every example begins with it empty
TEXTS = ("One.", "Two.")  # few, so that jobs meet at the same audio
LONG = " ".join(["The quick brown fox jumps over the lazy dogs, and then it sleeps until noon."] * 14)
PATIENCE_SECONDS, UPLOAD_SECONDS = 60.0, 3600.0
MOST_TURNS = 2000


class Interleavings(RuleBasedStateMachine):
    """Two workers and more, a sweeper, clients, and everything that goes wrong."""

    url = ""

    @initialize()
    def begin(self) -> None:
        self.redis: Any = patient_client(self.url)
        self.redis.flushdb()
        self.now = 1_000_000.0
        self.objects, self.broker = InMemoryObjectStore(), Broker(lambda: self.now)
        self.workers: list[Worker] = []
        self.jobs: list[str] = []
        self.removed: set[str] = set()
        self.reopened: dict[str, int] = {}
        self.numbers = itertools.count()
        terms = Terms(patience=PATIENCE_SECONDS, upload=UPLOAD_SECONDS, lock=60)
        servers = Servers(RedisSweepStore(self.url), self.broker, self.objects)
        self.sweeper = Sweeper("sweeper", servers, terms, clock=lambda: self.now)
        self.patched = pytest.MonkeyPatch()
        self.patched.setattr(time, "time", lambda: self.now)
        self.patched.setattr(claims, "PATIENCE_SECONDS", 0.0)
        self.patched.setattr(claims, "POLL_SECONDS", 0.0)
        self.patched.setattr(planning, "enqueue_later", enqueue_next)  # at once, for it has no thread of its own here

    # What clients do

    @rule(text=st.sampled_from([*TEXTS, LONG]), enqueued=st.booleans(), stream=st.booleans())
    def submit(self, text: str, enqueued: bool, stream: bool) -> None:
        """Submit a job; a gateway that dies in between does not enqueue it."""
        long = text == LONG
        job_id = f"01890000-0000-7000-8000-{next(self.numbers):012d}"
        job = Job(job_id, Lane.BULK, len(text), self.now, long=long, segments_total=0 if long else 1, stream=stream)
        request = SpeechRequest(text, "hum", "neutral", 1.0, 1.0, "wav", 16_000, 0)
        self.asked(lambda store: store.create(job, request))
        self.jobs.append(job_id)
        if enqueued:
            self.broker.ready.append(Message(job_id, job.first_step))

    @precondition(lambda self: self.jobs)
    @rule(choose=st.randoms(use_true_random=False))
    def cancel(self, choose: Any) -> None:
        job_id = choose.choice(self.jobs)
        self.asked(lambda store: store.cancel(job_id))

    @precondition(lambda self: self.jobs)
    @rule(choose=st.randoms(use_true_random=False), object_store_away=st.booleans())
    def remove(self, choose: Any, object_store_away: bool) -> None:
        job_id = choose.choice(self.jobs)
        job = self.job(job_id)
        if not job or not job.finished:
            return
        orphans: Any = self.asked(lambda store: store.remove(job_id))
        self.removed.add(job_id)
        if not object_store_away:
            for key in orphans:
                self.objects.delete(key)
            self.asked(lambda store: store.deleted(orphans))

    @precondition(lambda self: self.objects.objects)
    @rule(choose=st.randoms(use_true_random=False))
    def lose_an_object(self, choose: Any) -> None:
        """The object store loses one; every job that has it is asked for its audio, and made again."""
        key = choose.choice(sorted(self.objects.objects))
        del self.objects.objects[key]
        for job_id in self.jobs:
            job = self.job(job_id)
            audio = self.audio(job) if job else None
            if job and job.state is JobState.SUCCEEDED and (audio is None or audio["key"] == key):
                again: Any = self.asked(lambda store, job_id=job_id: store.reopen(job_id))
                self.reopened[job_id] = self.reopened.get(job_id, 0) + 1
                for step in again.steps:
                    self.broker.enqueue(job_id, step, lane=Lane.BULK)

    # What workers do

    @precondition(lambda self: self.broker.ready and len(self.workers) < 3)
    @rule(number=st.integers(0, 3))
    def take(self, number: int) -> None:
        message = self.broker.ready.pop(number % len(self.broker.ready))
        self.workers.append(Worker(message, self.url, self.objects, self.broker))

    @precondition(lambda self: self.workers)
    @rule(number=st.integers(0, 2), turns=st.integers(1, 12))
    def work(self, number: int, turns: int) -> None:
        worker = self.workers[number % len(self.workers)]
        for _ in range(turns):
            worker.next()
        self.look_at(worker)

    @precondition(lambda self: self.broker.ready and not self.workers)
    @rule(messages=st.integers(1, 4))
    def work_off(self, messages: int) -> None:
        """Work on some messages, one after the other, while nobody comes in between."""
        for _ in range(messages):
            if self.broker.ready:
                self.take(0)
                while self.workers:
                    self.work(0, 1)

    # What goes wrong

    @precondition(lambda self: self.workers)
    @rule(number=st.integers(0, 2))
    def kill(self, number: int) -> None:
        worker = self.workers.pop(number % len(self.workers))
        worker.kill()
        if not worker.abandoned:
            self.broker.return_(worker.message)

    @precondition(lambda self: any(not worker.abandoned for worker in self.workers))
    @rule()
    def part(self) -> None:
        """The broker takes a worker for dead, which goes on working."""
        worker = next(worker for worker in self.workers if not worker.abandoned)
        worker.abandoned = True
        self.broker.return_(worker.message)

    @precondition(lambda self: self.broker.ready)
    @rule(number=st.integers(0, 3), twice=st.booleans())
    def lose_or_repeat_a_message(self, number: int, twice: bool) -> None:
        message = self.broker.ready.pop(number % len(self.broker.ready))
        self.broker.ready[:0] = [message, message] if twice else []

    @rule(seconds=st.sampled_from([1.0, 61.0, LEASE_SECONDS + 61, UPLOAD_SECONDS + 1]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.broker.deliver_what_is_due()
        self.sweeper.round()

    # What must hold at any time

    @invariant()
    def the_indexes_are_right(self) -> None:
        """A job that is not finished has a step that waits or is held, so the sweeper can find it; others have none."""
        open_steps = [one for lane in Lane for one in self.redis.zrange(records.waiting_key(lane), 0, -1)]
        open_steps += self.redis.zrange(records.LEASES, 0, -1)
        with_steps = {one.rpartition(":")[0] for one in open_steps}
        unfinished = {job.id for job in self.known_jobs() if not job.finished}
        assert with_steps == unfinished

    @invariant()
    def what_is_done_is_counted_once(self) -> None:
        for job in self.known_jobs():
            steps = self.redis.hgetall(records.steps_key(job.id))
            done = [one for name, one in steps.items() if name.isdigit() and json.loads(one)["state"] == StepState.DONE]
            assert job.segments_done == len(done) <= max(job.segments_total, 1)

    @invariant()
    def a_job_ends_once(self) -> None:
        for job in self.known_jobs():
            states = [json.loads(event["data"])["state"] for _, event in self.redis.xrange(records.events_key(job.id))]
            ends = [state for state in states if state in FINISHED]
            assert len(ends) <= 1 + self.reopened.get(job.id, 0)
            assert states[-1] == job.state

    @invariant()
    def who_succeeded_has_its_audio(self) -> None:
        for job in self.known_jobs():
            if job.state is JobState.SUCCEEDED:
                audio = self.audio(job)
                assert audio
                assert len(self.objects.objects.get(audio["key"], b"")) == audio["bytes"]

    @invariant()
    def nothing_lies_about_unknown(self) -> None:
        known = {json.loads(one)["key"] for one in self.audio_records()}
        known |= {*self.redis.zrange(records.GARBAGE, 0, -1), *self.redis.zrange(records.UPLOADING, 0, -1)}
        assert set(self.objects.objects) <= known

    def teardown(self) -> None:
        """From here on nothing goes wrong: everything comes to its end, and nothing is left behind."""
        if not hasattr(self, "patched"):
            return
        try:
            for _ in range(MOST_TURNS):
                if not self.workers and not self.broker.ready and all(job.finished for job in self.known_jobs()):
                    break
                self.one_more_turn()
            self.now += UPLOAD_SECONDS + 1
            self.sweeper.round()
            self.check_the_end()
        finally:
            for worker in self.workers:
                worker.kill()
            self.patched.undo()
            self.redis.close()

    def one_more_turn(self) -> None:
        if self.workers:
            self.workers[0].next()
            self.look_at(self.workers[0])
        elif self.broker.ready:
            self.take(0)
        else:
            self.time_passes(61.0)

    def check_the_end(self) -> None:
        jobs = self.known_jobs()
        assert {job.id for job in jobs} == set(self.jobs) - self.removed
        assert [job for job in jobs if job.state not in (JobState.SUCCEEDED, JobState.CANCELLED)] == self.killers(jobs)
        assert self.redis.zcard(records.LEASES) == 0
        assert self.redis.keys(records.speaking_key("*")) == []
        assert self.redis.zcard(records.UPLOADING) == self.redis.zcard(records.GARBAGE) == 0
        assert set(self.objects.objects) == {json.loads(one)["key"] for one in self.audio_records()}

    def killers(self, jobs: list[Job]) -> list[Job]:
        """Return the jobs whose worker died in each attempt: it is right that they have failed."""
        return [job for job in jobs if job.failure and job.failure.code == "worker_lost"]

    def look_at(self, worker: Worker) -> None:
        if worker.ended:
            self.workers.remove(worker)
            settle(worker, self.broker)

    def known_jobs(self) -> list[Job]:
        return [job for job in map(self.job, self.jobs) if job]

    def job(self, job_id: str) -> Job | None:
        raw = self.redis.get(records.job_key(job_id))
        return records.load_job(raw) if raw else None

    def audio(self, job: Job) -> dict[str, Any] | None:
        raw = self.redis.get(records.audio_record_key(job.audio_address or ""))
        return json.loads(raw) if raw and raw != "deleting" else None

    def audio_records(self) -> Iterator[str]:
        for key in self.redis.keys(records.audio_record_key("*")):
            if not key.endswith(":jobs") and (raw := self.redis.get(key)) not in (None, "deleting"):
                yield raw

    def asked(self, ask: Callable[[AsyncRedisJobStore], Awaitable[object]]) -> object:
        async def answer() -> object:
            store = AsyncRedisJobStore(self.url)
            try:
                return await ask(store)
            finally:
                await store.close()

        return asyncio.run(answer())


def test_no_interleaving_loses_a_job(servers: LocalServers, request: pytest.FixtureRequest) -> None:
    """`--faults=long` takes some minutes, finds other sequences each time, and shortens the one that fails."""
    long = request.config.getoption("--faults") == "long"
    Interleavings.url = servers.environment()["EMOTIVOICE_REDIS_URL"].rpartition("/")[0] + f"/{DATABASE}"
    run_state_machine_as_test(
        Interleavings,
        settings=settings(
            max_examples=3000 if long else 60,
            derandomize=not long,
            phases=tuple(Phase) if long else (Phase.explicit, Phase.generate),  # to shrink a failure takes minutes
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
