"""What a round does, in what order, and what it leaves for the next when a server is away."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from prometheus_client import REGISTRY

from shared.errors import AudioMissing, QueueUnavailable, StorageUnavailable, StoreUnavailable
from shared.jobs import JobState, Lane
from shared.ports import StepRef
from sweeper.pod_costs import PodsUnreachable
from sweeper.sweeping import JOBS_A_ROUND, OBJECTS_A_ROUND, Servers, Sweeper, Terms
from tests.fakes import InMemoryQueue

NOW = 1_000_000.0
TERMS = Terms(patience=60, upload=3600, lock=30)
STRANDED = StepRef("job-1", "0", Lane.INTERACTIVE)
LAPSED = StepRef("job-2", "join", Lane.ASSEMBLY)


class FakeRecords:
    """What the records say. A name in `faults` makes that call fail."""

    def __init__(self) -> None:
        self.holder = ""
        self.held_for = 0.0
        self.stranded_steps: list[StepRef] = []
        self.lapsed_steps: list[StepRef] = []
        self.ready_steps: list[StepRef] = []
        self.jobs: dict[str, JobState] = {}
        self.garbage: list[str] = []
        self.busy: set[str] = set()
        self.asked: list[tuple[object, ...]] = []
        self.faults: dict[str, Exception] = {}

    def alone(self, name: str, *, seconds: float) -> bool:
        self._may_fail("alone")
        self.holder = self.holder or name
        if self.holder == name:
            self.held_for = seconds
        return self.holder == name

    def stranded(self, lane: Lane, *, now: float, ready_messages: int, patience: float) -> list[StepRef]:
        self._may_fail("stranded")
        self.asked.append((lane, now, ready_messages, patience))
        return [step for step in self.stranded_steps if step.lane is lane]

    def lapsed(self, *, now: float, ready_messages: Mapping[Lane, int], patience: float) -> list[StepRef]:
        self.asked.append(("lapsed", now, ready_messages, patience))
        return self.lapsed_steps

    def ready(self, lane: Lane, *, now: float) -> list[StepRef]:
        return [step for step in self.ready_steps if step.lane is lane]

    def due(self, *, now: float, limit: int) -> list[str]:
        self._may_fail("due")
        self.asked.append(("due", now, limit))
        return list(self.jobs)

    def expire(self, job_id: str, *, now: float) -> JobState | None:
        self._may_fail("expire")
        if self.jobs[job_id] is JobState.EXPIRED:
            return self.jobs.pop(job_id) and None
        self.jobs[job_id] = JobState.EXPIRED
        return JobState.EXPIRED

    def doomed(self, *, garbage_before: float, uploads_before: float, limit: int) -> list[str]:
        self.asked.append(("doomed", garbage_before, uploads_before, limit))
        return list(self.garbage)

    def spared(self, keys: list[str], *, now: float) -> None:
        self.asked.append(("spared", sorted(keys), now))

    def busy_workers(self, *, now: float) -> set[str]:
        self.asked.append(("busy", now))
        return self.busy

    def deleted(self, keys: list[str]) -> None:
        self.garbage = [key for key in self.garbage if key not in keys]

    def _may_fail(self, call: str) -> None:
        if call in self.faults:
            raise self.faults[call]


class FakeLanes(InMemoryQueue):
    """A queue that tells how long it is."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = dict.fromkeys(Lane, 0)
        self.dead = 0
        self.away = False
        self.after_each: Callable[[], None] = lambda: None

    def enqueue(self, job_id: str, step: str, *, lane: Lane, delay_seconds: float = 0) -> None:
        super().enqueue(job_id, step, lane=lane, delay_seconds=delay_seconds)
        self.after_each()

    def ready_messages(self) -> dict[Lane, int]:
        self._may_be_away()
        return self.ready

    def dead_letters(self) -> int:
        self._may_be_away()
        return self.dead

    def _may_be_away(self) -> None:
        if self.away:
            raise QueueUnavailable("switched off by the test")


class FakeObjects:
    """Objects by name. S3 goes away when `works` more are deleted."""

    def __init__(self) -> None:
        self.deleted: list[str] = []
        self.missing: set[str] = set()
        self.works = 1_000_000
        self.after_each: Callable[[], None] = lambda: None

    def delete(self, key: str) -> None:
        if len(self.deleted) >= self.works:
            raise StorageUnavailable("switched off by the test")
        if key in self.missing:
            raise AudioMissing(key)
        self.deleted.append(key)
        self.after_each()


@dataclass
class World:
    """A sweeper among fakes."""

    records: FakeRecords = field(default_factory=FakeRecords)
    lanes: FakeLanes = field(default_factory=FakeLanes)
    objects: FakeObjects = field(default_factory=FakeObjects)
    now: float = NOW
    stopping: bool = False

    def sweeper(self, name: str = "one") -> Sweeper:
        servers = Servers(self.records, self.lanes, self.objects)
        return Sweeper(name, servers, TERMS, go_on=lambda: not self.stopping, clock=lambda: self.now)

    def round(self) -> bool:
        return self.sweeper().round()


@pytest.fixture
def world() -> World:
    return World()


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture
def count() -> Callable[..., float]:
    """How much a metric has grown since the test began."""
    before: dict[tuple[str, str], float] = {}
    for metric in REGISTRY.collect():
        before |= {(sample.name, str(sorted(sample.labels.items()))): sample.value for sample in metric.samples}

    def grown(name: str, **labels: str) -> float:
        return counted(name, **labels) - before.get((name, str(sorted(labels.items()))), 0.0)

    return grown


def test_what_has_lost_its_message_is_sent_again(world: World, count: Callable[..., float]) -> None:
    world.records.stranded_steps, world.records.lapsed_steps = [STRANDED], [LAPSED]
    world.lanes.ready[Lane.BULK] = 7

    assert world.round()

    assert world.lanes.messages == [("job-1", "0", Lane.INTERACTIVE), ("job-2", "join", Lane.ASSEMBLY)]
    assert (Lane.BULK, NOW, 7, 60) in world.records.asked
    assert ("lapsed", NOW, world.lanes.ready, 60) in world.records.asked
    assert count("emotivoice_sweeper_republished_total", lane="interactive", reason="stranded") == 1
    assert count("emotivoice_sweeper_republished_total", lane="assembly", reason="lapsed") == 1


def test_without_a_broker_no_step_is_taken_for_sent(world: World) -> None:
    """The records would not name it again before its patience is over."""
    world.lanes.away = True

    world.round()

    assert not [asked for asked in world.records.asked if asked[0] in (*Lane, "lapsed")]


def test_a_job_expires_and_is_forgotten_later(world: World, count: Callable[..., float]) -> None:
    world.records.jobs = {"old": JobState.SUCCEEDED, "ancient": JobState.EXPIRED}

    world.round()

    assert world.records.jobs == {"old": JobState.EXPIRED}
    assert count("emotivoice_sweeper_expired_total") == 1
    assert count("emotivoice_sweeper_forgotten_total") == 1
    assert ("due", NOW, JOBS_A_ROUND) in world.records.asked


def test_objects_that_nobody_needs_are_deleted(world: World, count: Callable[..., float]) -> None:
    world.records.garbage = ["a", "b"]
    world.objects.missing = {"a"}  # a sweeper died after it had deleted it

    world.round()

    assert world.objects.deleted == ["b"]
    assert world.records.garbage == []
    assert ("doomed", NOW - 60, NOW - 3600, OBJECTS_A_ROUND) in world.records.asked
    assert count("emotivoice_sweeper_objects_deleted_total") == 2
    assert counted("emotivoice_garbage_objects") == 0


def test_objects_stay_marked_until_s3_is_back(world: World) -> None:
    world.records.garbage = ["a", "b", "c"]
    world.objects.works = 1

    world.round()
    assert world.records.garbage == ["b", "c"]
    assert counted("emotivoice_garbage_objects") == 2

    world.objects.works = 3
    world.round()
    assert world.records.garbage == []


def test_what_takes_too_long_is_deleted_in_a_later_round(world: World) -> None:
    """Another sweeper might have taken over: somebody might have stored anew what that one has deleted."""

    def slow() -> None:
        world.now += TERMS.lock / 4 + 1

    world.records.garbage = ["a", "b", "c"]
    world.objects.after_each = slow

    world.round()
    assert world.records.garbage == ["c"]


def test_a_sweeper_that_was_slow_deletes_nothing_beside_another(world: World) -> None:
    def overtake() -> None:
        world.records.holder = "other"

    world.records.garbage = ["a"]
    world.records.stranded_steps = [STRANDED]
    world.lanes.after_each = overtake

    world.round()

    assert len(world.lanes.messages) == 1
    assert world.records.garbage == ["a"]


@pytest.mark.parametrize("away", ["stranded", "due", "expire"])
@pytest.mark.parametrize("error", [StoreUnavailable(), KeyError("a record of a later version")])
def test_a_part_that_fails_does_not_keep_the_others_from_being_done(
    world: World, away: str, error: Exception, count: Callable[..., float]
) -> None:
    world.records.faults[away] = error
    world.records.stranded_steps, world.records.jobs, world.records.garbage = (
        [STRANDED],
        {"old": JobState.FAILED},
        ["a"],
    )
    world.lanes.dead = 3
    part = "republish" if away == "stranded" else "expire"

    world.round()

    assert world.objects.deleted == ["a"]
    assert counted("emotivoice_dead_letters") == 3
    assert bool(world.lanes.messages) == (part != "republish")
    assert (world.records.jobs["old"] is JobState.EXPIRED) == (part != "expire")
    outcome = "store_unavailable" if isinstance(error, StoreUnavailable) else "internal_error"
    assert count("emotivoice_sweeper_rounds_total", part=part, outcome=outcome) == 1
    assert count("emotivoice_sweeper_rounds_total", part="delete", outcome="done") == 1


def test_a_broker_that_is_away_does_not_keep_jobs_from_expiring(world: World) -> None:
    world.lanes.away = True
    world.records.jobs, world.records.garbage = {"old": JobState.FAILED}, ["a"]

    world.round()

    assert world.records.jobs == {"old": JobState.EXPIRED}
    assert world.objects.deleted == ["a"]
    assert math.isnan(counted("emotivoice_dead_letters"))


def test_an_outage_is_logged_once_and_so_is_its_end(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="sweeper")
    sweeper = world.sweeper()
    world.records.garbage = ["a"]
    world.objects.works = 0
    for _ in range(3):
        sweeper.round()
    world.objects.works = 1
    sweeper.round()
    sweeper.round()

    told = [record.message for record in caplog.records if record.message.startswith("delete: ")]
    assert told == ["delete: the object store could not be used: switched off by the test", "delete: it works again"]


def test_only_one_sweeper_works(world: World) -> None:
    one, other = world.sweeper("one"), world.sweeper("other")
    world.records.stranded_steps = [STRANDED]

    assert one.round()
    assert other.round()  # it could have begun, and stands by
    assert len(world.lanes.messages) == 1

    world.records.holder = ""  # the first one is gone, and its time is over
    other.round()
    one.round()
    assert len(world.lanes.messages) == 2


def test_a_sweeper_that_leaves_lets_another_take_over_soon(world: World) -> None:
    one, other = world.sweeper("one"), world.sweeper("other")
    one.round()
    other.round()
    assert world.records.held_for == TERMS.lock

    other.leave()
    assert world.records.held_for == TERMS.lock  # it is not its own
    one.leave()
    assert world.records.held_for == 1


def test_without_redis_nothing_is_begun(world: World) -> None:
    world.records.faults["alone"] = StoreUnavailable()
    world.records.garbage = ["a"]

    assert not world.round()

    assert world.records.asked == []


def test_a_sweeper_that_is_asked_to_stop_finishes_what_it_has_in_hand(world: World) -> None:
    def ask_to_stop() -> None:
        world.stopping = True

    world.records.garbage = ["a", "b"]
    world.objects.after_each = ask_to_stop

    world.round()

    assert world.objects.deleted == ["a"]
    assert world.records.garbage == ["b"]


def test_a_sweeper_that_is_asked_to_stop_begins_no_other_part(world: World) -> None:
    world.stopping = True
    world.records.stranded_steps, world.records.jobs = [STRANDED], {"old": JobState.FAILED}

    world.round()

    assert not world.lanes.messages
    assert world.records.jobs == {"old": JobState.FAILED}


class FakePods:
    """Who was to be spared."""

    def __init__(self) -> None:
        self.spared: list[set[str]] = []
        self.away = False

    def spare(self, busy: set[str]) -> int:
        if self.away:
            raise PodsUnreachable("switched off by the test")
        self.spared.append(busy)
        return len(busy)


def test_kubernetes_is_told_whose_workers_are_busy(world: World) -> None:
    pods = FakePods()
    world.records.busy = {"worker-bulk-1:7", "worker-bulk-2:7"}
    servers = Servers(world.records, world.lanes, world.objects, pods)

    Sweeper("one", servers, TERMS, clock=lambda: NOW).round()

    assert pods.spared == [{"worker-bulk-1", "worker-bulk-2"}]


def test_an_api_server_that_is_away_keeps_nothing_else_from_being_done(world: World) -> None:
    pods = FakePods()
    pods.away = True
    world.lanes.dead = 3
    before = outcomes("pods", "pods_unreachable")

    Sweeper("one", Servers(world.records, world.lanes, world.objects, pods), TERMS, clock=lambda: NOW).round()

    assert REGISTRY.get_sample_value("emotivoice_dead_letters") == 3
    assert outcomes("pods", "pods_unreachable") == before + 1


def outcomes(part: str, outcome: str) -> float:
    labels = {"part": part, "outcome": outcome}
    return REGISTRY.get_sample_value("emotivoice_sweeper_rounds_total", labels) or 0
