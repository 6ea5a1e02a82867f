"""A worker makes jobs of a batch's lines: each once, whatever happens in between."""

import json
from dataclasses import dataclass, field, replace

import pytest

from shared.batches import NO_SPEECH, PORTION_LINES, Batch, Terms, Wanted
from shared.errors import NoCatalogue, QuotaExceeded
from shared.jobs import Job, JobState, SpeechRequest
from shared.limits import Limits, Quota
from tests.fake_batches import InMemoryBatches, InMemoryBatchJobs
from tests.fakes import InMemoryJobStore, InMemoryObjectStore
from tests.worker.passes import work_on_pass
from worker import ingesting
from worker.batch_file import FileLine, lines_of
from worker.ingesting import NotDoneYet
from worker.lease import StepLost

BATCH = Batch("0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f", "acme", 0.0, 0, "", 0, Terms(100))


class Killed(BaseException):
    """The worker is gone."""


@dataclass
class Room:
    """A batch, and what its worker has."""

    records: InMemoryJobStore = field(default_factory=InMemoryJobStore)
    objects: InMemoryObjectStore = field(default_factory=InMemoryObjectStore)
    batches: InMemoryBatches = field(default_factory=lambda: InMemoryBatches({}))

    def __post_init__(self) -> None:
        self.jobs = InMemoryBatchJobs(self.records)

    def put(self, *lines: object, **fields: object) -> None:
        data = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
        batch = replace(BATCH, source_bytes=len(data), lines=len(lines), **fields)  # pyright: ignore[reportArgumentType]
        self.objects.objects[batch.source_key] = data
        self.batches.batches[batch.id] = batch
        self.begin()

    def begin(self) -> None:
        self.records.add(self.batch.pass_job(now=1.0), NO_SPEECH)

    @property
    def batch(self) -> Batch:
        return self.batches.batches[BATCH.id]

    @property
    def pass_job(self) -> Job:
        return self.records.jobs[self.batch.ingest_job]

    def work(self) -> None:
        work_on_pass(self.pass_job, self.records, self.batches, self.jobs, self.objects)

    def line(self, number: int) -> tuple[Job, SpeechRequest]:
        job_id = self.batch.line_job(number)
        return self.records.jobs[job_id], self.records.requests[job_id]

    @property
    def made(self) -> list[Job]:
        return [job for job in self.records.jobs.values() if job.id != self.batch.ingest_job]

    @property
    def errors(self) -> list[tuple[int, str]]:
        data = b"".join(self.objects.objects[key] for key in self.batch.error_parts)
        return [(one["line"], one["code"]) for one in map(json.loads, data.splitlines())]


@pytest.fixture
def room() -> Room:
    return Room()


def many(count: int) -> list[dict[str, str]]:
    return [{"text": f"Number {number}"} for number in range(count)]


def test_defaults_hold_for_what_a_line_does_not_say(room: Room) -> None:
    defaults = {"voice": "buzz", "metadata": {"a": "1", "b": "1"}}
    room.put({"text": "One", "metadata": {"b": "2"}}, {"text": "Two", "voice": "Hum"}, defaults=defaults)

    room.work()

    (first, said), (second, also) = room.line(1), room.line(2)
    assert (said.voice, first.metadata) == ("buzz", {"a": "1", "b": "2"})
    assert (also.voice, second.metadata, second.tenant) == ("hum", {"a": "1", "b": "1"}, "acme")
    assert room.pass_job.state is JobState.SUCCEEDED


def test_each_wrong_line_has_its_reason_and_hinders_no_other(room: Room) -> None:
    room.put(
        {"text": "Good"},
        b"{",
        b"[1]",
        b"\xff\xfe\xfd",
        {"text": "Hi", "lane": "interactive"},
        {"text": "x" * 101},
        b"  ",
        {"custom_id": "no text"},
        {"text": "Hi", "speed": 9},
        {"text": "Hi", "variables": {"a": "b"}},
        b"x" * (1024 * 1024 + 1),
        b'{"custom_id": "\\ud800", "text": "half of a pair"}',
        {"text": "Good too"},
    )

    room.work()

    assert room.errors == [
        (2, "invalid_json"),
        (3, "invalid_json"),
        (4, "invalid_json"),
        (5, "unknown_field"),
        (6, "text_too_long"),
        (8, "missing_field"),
        (9, "out_of_range"),
        (10, "unknown_variable"),
        (11, "line_too_long"),
        (12, "invalid_value"),
    ]
    assert room.batch.lines_wrong == 10
    assert {job.id for job in room.made} == {room.batch.line_job(1), room.batch.line_job(13)}


def test_a_pass_that_was_broken_off_goes_on_where_it_was(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.put(*many(3 * PORTION_LINES))
    change, calls = room.batches.change, iter([False, True])

    def killed(*arguments: object) -> object:
        if next(calls, False):
            raise Killed  # the second portion is recorded, and not noted
        return change(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(room.batches, "change", killed)
    with pytest.raises(Killed):
        room.work()
    assert (room.batch.lines_read, len(room.made)) == (PORTION_LINES, 2 * PORTION_LINES)

    room.work()

    assert (room.batch.lines_read, len(room.made)) == (3 * PORTION_LINES, 3 * PORTION_LINES)


def test_others_have_their_turn(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.put(*many(2 * PORTION_LINES))
    monkeypatch.setattr(ingesting, "TURN_SECONDS", -1.0)

    with pytest.raises(NotDoneYet):
        room.work()
    assert room.batch.lines_read == PORTION_LINES

    room.work()
    assert len(room.made) == 2 * PORTION_LINES


def test_what_is_made_while_it_is_cancelled_is_cancelled_too(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.put(*many(3))
    create_all = room.jobs.create_all

    def cancelled_meanwhile(*arguments: object, **named: object) -> object:
        room.batches.batches[BATCH.id] = room.batch.again(Wanted.CANCEL)
        return create_all(*arguments, **named)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(room.jobs, "create_all", cancelled_meanwhile)
    with pytest.raises(StepLost):
        room.work()

    lines = [room.records.jobs[room.batch.line_job(number)] for number in (1, 2, 3)]
    assert {job.state for job in lines} == {JobState.CANCELLED}


def test_a_line_over_the_quota_is_rejected_and_taken_when_it_is_retried(room: Room) -> None:
    room.put(*many(2), terms=Terms(100, limits=Limits(characters_per_day=10)))
    too_much = QuotaExceeded(Quota.CHARACTERS, limit=10, used=8, wanted=8)
    room.jobs.refused = {room.batch.line_job(2): too_much}
    room.work()
    assert room.errors == [(2, "quota_exceeded")]

    room.jobs.refused = {}
    room.batches.batches[BATCH.id] = room.batch.again(Wanted.SPEAK)
    room.begin()
    room.work()

    assert (room.errors, room.batch.lines_wrong) == ([], 0)
    assert room.line(2)[0].state is JobState.QUEUED


def test_another_try_needs_the_quota_of_today(room: Room) -> None:
    room.put(*many(1), passes=3, terms=Terms(100, limits=Limits(characters_per_day=10)))
    room.work()
    job_id = room.batch.line_job(1)
    room.jobs.cancel(job_id)  # what it did not use is given back
    room.jobs.refused = {job_id: QuotaExceeded(Quota.CHARACTERS, limit=10, used=8, wanted=8)}
    room.batches.batches[BATCH.id] = room.batch.again(Wanted.SPEAK)
    room.begin()
    room.work()

    assert (room.errors, room.line(1)[0].state) == ([(1, "quota_exceeded")], JobState.CANCELLED)


def test_a_pass_that_nobody_wants_any_more_ends(room: Room) -> None:
    room.put(*many(1))
    old = room.pass_job
    room.batches.batches[BATCH.id] = room.batch.again(Wanted.CANCEL)

    with pytest.raises(StepLost):
        work_on_pass(old, room.records, room.batches, room.jobs, room.objects)

    assert room.records.jobs[old.id].state is JobState.CANCELLED  # or the sweeper would send it for ever


def test_without_a_catalogue_it_is_tried_again(room: Room) -> None:
    room.put(*many(1))
    room.batches.catalogue_known = False

    with pytest.raises(NoCatalogue):
        room.work()


@pytest.mark.parametrize("size", [1, 3, 100])
def test_lines_are_the_same_however_their_bytes_come(size: int) -> None:
    data = b"one\n\ntoo long line\nlast"
    chunks = [data[start : start + size] for start in range(0, len(data), size)]

    assert list(lines_of(chunks, number=1, offset=0, longest=5)) == [
        FileLine(1, b"one", 4),
        FileLine(2, b"", 5),
        FileLine(3, None, 19),
        FileLine(4, b"last", 23),
    ]
