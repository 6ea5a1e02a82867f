"""Books on real servers: read, spoken by all workers, made into editions; and gone on with after whatever happens."""

import io
import uuid
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from bench.long_book import BRIEF, long_book
from bench.shelf import Shelf
from shared.books import BookState, Voicing
from shared.jobs import JobKind, JobState, Lane
from shared.settings import SharedSettings
from tests.books.making import make_epub
from tests.integration.conftest import RunningFleet, Worker
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

NOTES = {"EMOTIVOICE_ENGINE": "tests.engines:noting"}
FEW_SECONDS = 60


@pytest.fixture
def shelf(fleet: RunningFleet, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    for name, value in fleet.servers.environment().items():
        monkeypatch.setenv(name, value)
    return Shelf(SharedSettings())


@pytest.fixture
def noted(fleet: RunningFleet) -> Iterator[Path]:
    """The file of what was spoken by workers with NOTES, who are all of the bulk lane."""
    path = fleet.servers.folder.path.parent / "spoken"
    path.write_text("")
    with fleet.without_worker(Lane.BULK):
        yield path


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def unheard(count: int, *, wait: bool = False) -> str:
    """Return marked text of so many paragraphs that nobody has spoken yet."""
    word = "wait" if wait else "go"
    return "\n\n".join(f"We {word} on with paragraph {n} of {uuid.uuid4().hex[:8]}." for n in range(count))


def done(shelf: Shelf, book_id: str) -> bool:
    state = shelf.state(book_id)
    assert state is not BookState.FAILED, shelf.jobs(book_id)
    return state is BookState.SUCCEEDED


def finished(shelf: Shelf, book_id: str, *, seconds: float = FEW_SECONDS) -> None:
    wait_for(lambda: done(shelf, book_id), seconds=seconds, every=0.1)


def chapters_of(data: bytes) -> list[str]:
    with av.open(io.BytesIO(data)) as book:
        return [chapter["metadata"]["title"] for chapter in book.chapters()]


def bulk_worker(fleet: RunningFleet) -> Worker:
    worker = fleet.new_worker(Lane.BULK, **NOTES)
    worker.process.start()
    return worker


def test_an_epub_is_read_spoken_and_made_into_an_m4b(shelf: Shelf, tmp_path: Path) -> None:
    chapters = [(f"Chapter {n}", unheard(3).split("\n\n")) for n in (1, 2, 3)]
    make_epub(tmp_path / "book.epub", title="Three", author="A. Writer", language="en", chapters=chapters)

    book_id = shelf.add_file(tmp_path / "book.epub")
    wait_for(lambda: shelf.state(book_id) is BookState.READY)
    shelf.render(book_id, "m4b", "vtt")
    finished(shelf, book_id)

    data = b"".join(shelf.read(shelf.edition(book_id, "m4b")))
    assert chapters_of(data) == ["Chapter 1", "Chapter 2", "Chapter 3"]
    subtitles = b"".join(shelf.read(shelf.edition(book_id, "vtt"))).decode()
    assert subtitles.count("We go on with paragraph") == 9
    wait_for(lambda: book_id not in shelf.books.unsettled())


def test_one_edited_sentence_is_all_that_is_spoken_again(fleet: RunningFleet, shelf: Shelf, noted: Path) -> None:
    bulk_worker(fleet)
    book_id = shelf.add([("One", unheard(6)), ("Two", unheard(6))])
    shelf.render(book_id, "m4b")
    finished(shelf, book_id)
    first, [former] = shelf.edition(book_id, "m4b"), shelf.get(book_id).editions
    assert len(lines(noted)) == 12
    text = shelf.text(book_id, "2").split("\n\n")
    text[3] = unheard(1)

    shelf.rewrite(book_id, "2", "Two", "\n\n".join(text))
    shelf.render(book_id, "m4b")
    finished(shelf, book_id)

    assert lines(noted)[12:] == [text[3]]
    second = shelf.edition(book_id, "m4b")
    assert second.address != first.address
    wait_for(lambda: shelf.children.jobs([former.job]) == [None])  # it goes; its object is the sweeper's
    assert shelf.records.audio([first.address, second.address]) == [None, second]


def test_after_the_end_of_every_worker_only_what_is_missing_is_spoken(
    fleet: RunningFleet, shelf: Shelf, noted: Path
) -> None:
    """Twice: once while chapters are spoken, once while they are put together."""
    with fleet.without_worker(Lane.ASSEMBLY):
        workers = [bulk_worker(fleet), fleet.new_worker(Lane.ASSEMBLY)]
        workers[1].process.start()
        book_id = shelf.add([(f"Chapter {n}", unheard(10)) for n in range(4)])
        shelf.render(book_id, "m4b")
        wait_for(lambda: len(lines(noted)) >= 12)
        for worker in workers:
            worker.process.kill()
        spoken = len(lines(noted))

        workers = [bulk_worker(fleet), fleet.new_worker(Lane.ASSEMBLY)]
        workers[1].process.start()
        wait_for(lambda: shelf.get(book_id).editions, seconds=FEW_SECONDS)
        for worker in workers:
            worker.process.kill()
        for worker in (bulk_worker(fleet), fleet.new_worker(Lane.ASSEMBLY)):
            worker.process.launch()

        finished(shelf, book_id, seconds=120)
        assert len(set(lines(noted))) == 40
        assert len(lines(noted)) - 40 <= 1  # the one that was in hand
        assert spoken < 40


def test_a_pause_between_two_kills_loses_nothing(fleet: RunningFleet, shelf: Shelf, noted: Path) -> None:
    """A render that is begun again finds what was spoken before it."""
    worker = bulk_worker(fleet)
    book_id = shelf.add([("One", unheard(8)), ("Two", unheard(8))])
    shelf.render(book_id, "m4b")
    wait_for(lambda: len(lines(noted)) >= 4)
    for job_id in shelf.jobs(book_id):
        shelf.children.cancel(job_id)
    worker.process.kill()

    bulk_worker(fleet)
    shelf.render(book_id, "m4b")
    finished(shelf, book_id)

    assert len(set(lines(noted))) == 16
    assert len(lines(noted)) <= 17


def test_two_books_of_a_tenant_take_turns(fleet: RunningFleet, shelf: Shelf, noted: Path) -> None:
    """Beyond the window: what is in the queue already stays there."""
    small = {"EMOTIVOICE_BULK_WINDOW": "4"}
    with fleet.without_worker(Lane.ASSEMBLY):
        assembly = fleet.new_worker(Lane.ASSEMBLY, **small)
        assembly.process.start()
        books = [shelf.add([("One", unheard(20))]) for _ in range(2)]
        for book_id in books:
            shelf.render(book_id, "m4b")
        wait_for(lambda: all(planned(shelf, book_id) == 20 for book_id in books))
        text = shelf.text(books[0], "1")

        worker = fleet.new_worker(Lane.BULK, **NOTES, **small)
        worker.process.start()
        for book_id in books:
            finished(shelf, book_id)

    first_half = lines(noted)[:20]
    assert 8 <= sum(line in text for line in first_half) <= 16  # the first four, then every other


def planned(shelf: Shelf, book_id: str) -> int:
    jobs = [job for job in shelf.jobs(book_id).values() if job and job.kind is JobKind.CHAPTER]
    return sum(job.segments_total for job in jobs)


def test_two_workers_make_the_same_bytes_as_one(fleet: RunningFleet, shelf: Shelf, noted: Path) -> None:
    """The second book is spoken anew: its voice is a blend that sounds alike, but is another address."""
    text, other = unheard(12), unheard(12)
    made: list[bytes] = []
    for voice, count in (("hum", 1), ("hum*1", 2)):
        workers = [bulk_worker(fleet) for _ in range(count)]
        book_id = shelf.add([("One", text), ("Two", other)], voicing=Voicing(voice))
        shelf.render(book_id, "m4b")
        finished(shelf, book_id)
        made.append(b"".join(shelf.read(shelf.edition(book_id, "m4b"))))
        for worker in workers:
            worker.process.stop()

    assert made[0] == made[1]
    assert len(lines(noted)) == 4 * 12


def test_a_failed_chapter_leaves_the_other_one_spoken(fleet: RunningFleet, shelf: Shelf, noted: Path) -> None:
    bulk_worker(fleet)
    book_id = shelf.add([("One", unheard(3)), ("Two", f"Please refuse {uuid.uuid4().hex}.")])

    shelf.render(book_id, "m4b")
    wait_for(lambda: shelf.state(book_id) is BookState.FAILED, seconds=FEW_SECONDS)

    jobs = shelf.jobs(book_id)
    states = [job.state for chapter in shelf.get(book_id).chapters if (job := jobs[chapter.job])]
    assert states == [JobState.SUCCEEDED, JobState.FAILED]


def test_a_book_of_a_thousand_segments_is_spoken_to_its_end(fleet: RunningFleet, shelf: Shelf, noted: Path) -> None:
    count = 1000
    for worker in (fleet.new_worker(Lane.BULK, **NOTES) for _ in range(2)):
        worker.process.launch()
    book_id = shelf.add(long_book(count, chapters=3, mark=uuid.uuid4().hex[:8]), voicing=BRIEF)
    shelf.render(book_id, "m4b", "srt")
    finished(shelf, book_id, seconds=240)

    spoken, data = lines(noted), b"".join(shelf.read(shelf.edition(book_id, "m4b")))
    assert (len(spoken), len(set(spoken))) == (count, count)
    assert chapters_of(data) == ["Chapter 1", "Chapter 2", "Chapter 3"]
    subtitles = b"".join(shelf.read(shelf.edition(book_id, "srt"))).decode()
    assert subtitles.count("In chapter") == count


def test_a_chapter_of_five_thousand_segments_is_planned_and_begun(
    fleet: RunningFleet, shelf: Shelf, noted: Path
) -> None:
    """`python -m bench.long_book` speaks it to its end, which takes minutes."""
    book_id = shelf.add([("Long", unheard(5000))])

    shelf.render(book_id, "m4b")
    wait_for(lambda: planned(shelf, book_id) == 5000, seconds=FEW_SECONDS, every=0.2)
    bulk_worker(fleet)
    wait_for(lambda: shelf.spoken_segments(book_id) >= 50, seconds=FEW_SECONDS, every=0.2)

    for job_id in shelf.jobs(book_id):
        shelf.children.cancel(job_id)
    assert {job.state for job in shelf.jobs(book_id).values() if job and job.kind is JobKind.CHAPTER} == {
        JobState.CANCELLED
    }
