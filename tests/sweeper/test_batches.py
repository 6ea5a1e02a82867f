"""The sweeper begins what a gateway could not, and lets batches go that were deleted, or whose time is over."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from shared.batches import Batch, Terms, Wanted
from shared.jobs import Job, SpeechRequest
from sweeper.batches import BatchCare

BATCH = Batch("0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f", "default", 0.0, 10, "", 1, Terms(100), keep_seconds=100)


@dataclass
class Room:
    """A batch with three jobs, and the clock."""

    batches: dict[str, Batch] = field(default_factory=dict[str, Batch])
    due_at: dict[str, float] = field(default_factory=dict[str, float])
    changed_at: float = 0.0
    jobs: list[str] = field(default_factory=lambda: ["a", "b", "c"])
    now: float = 1000.0
    beginning: dict[str, float] = field(default_factory=dict[str, float])

    def get(self, batch_id: str) -> Batch | None:
        return self.batches.get(batch_id)

    def due(self, *, now: float, limit: int) -> list[str]:
        return [one for one, at in self.due_at.items() if at <= now][:limit]

    def look_later(self, batch_id: str, at: float) -> None:
        self.due_at[batch_id] = at

    def last_change(self, batch: Batch) -> float:
        return self.changed_at

    def not_begun(self, *, before: float, limit: int) -> list[str]:
        return [one for one, since in self.beginning.items() if since <= before][:limit]

    def begun(self, batch_id: str) -> None:
        del self.beginning[batch_id]

    def create(self, job: Job, request: SpeechRequest) -> bool:
        self.jobs.append(job.id)
        return True

    def unlisted(self, batch_id: str) -> None:
        del self.due_at[batch_id]

    def forget(self, batch: Batch) -> None:
        del self.batches[batch.id], self.due_at[batch.id]

    def page(self, parent: str, *, after: str, limit: int) -> list[str]:
        return [one for one in self.jobs if one > after][:limit]

    def remove(self, job_id: str, *, now: float) -> None:
        self.jobs = [one for one in self.jobs if one != job_id]

    def swept(self, go_on: Callable[[], bool] = lambda: True) -> None:
        BatchCare(self, self, self, clock=lambda: self.now).expire(go_on)


def room_with(batch: Batch) -> Room:
    return Room(batches={batch.id: batch}, due_at={batch.id: 0.0})


def test_a_batch_whose_time_is_over_goes_with_its_jobs() -> None:
    room = room_with(BATCH)

    room.swept()

    assert (room.batches, room.due_at, room.jobs) == ({}, {}, [])


def test_a_batch_stays_as_long_after_the_last_change_of_its_jobs() -> None:
    room = room_with(BATCH)
    room.changed_at = 950.0

    room.swept()
    assert (room.due_at[BATCH.id], room.jobs) == (1050.0, ["a", "b", "c"])

    room.now = 1051.0
    room.swept()
    assert not room.batches


def test_a_deleted_batch_goes_at_once() -> None:
    room = room_with(replace(BATCH, wanted=Wanted.DELETE))
    room.changed_at = room.now

    room.swept()

    assert (room.batches, room.jobs) == ({}, [])


def test_what_is_broken_off_is_gone_on_with() -> None:
    room = room_with(replace(BATCH, wanted=Wanted.DELETE))
    answers = iter([True, False])

    room.swept(lambda: next(answers))
    assert (room.jobs, list(room.batches)) == (["b", "c"], [BATCH.id])

    room.swept()
    assert (room.jobs, room.batches) == ([], {})


def test_what_is_listed_and_not_there_is_taken_off_the_list() -> None:
    room = Room(due_at={BATCH.id: 0.0})

    room.swept()

    assert not room.due_at


def test_a_pass_is_begun_whose_gateway_died_before_it_could() -> None:
    batch = replace(BATCH, passes=2)
    room = Room(batches={batch.id: batch}, jobs=[batch.job_of_pass(1)], beginning={batch.id: 990.0})

    BatchCare(room, room, room, clock=lambda: 1000.0).begin(lambda: True)
    assert room.jobs == [batch.job_of_pass(1)]  # its gateway may be at it

    BatchCare(room, room, room, clock=lambda: 1051.0).begin(lambda: True)
    assert (room.jobs, room.beginning) == ([batch.job_of_pass(2)], {})
