"""The sweeper looks after books whose workers died, and those whose time is over."""

from dataclasses import replace

from shared.advance import LONGEST_BEGINNING_SECONDS
from shared.books import BookState, Wanted
from shared.jobs import JobKind, JobState
from sweeper.books import BookCare
from tests.fake_books import new_book
from tests.fakes import InMemoryJobStore
from tests.worker.bookroom import Bookroom


class Records:
    """Forgets jobs."""

    def __init__(self, jobs: InMemoryJobStore) -> None:
        self._jobs = jobs

    def remove(self, job_id: str, *, now: float) -> None:
        del self._jobs.jobs[job_id]


def care_of(room: Bookroom) -> BookCare:
    return BookCare(room.books, room.children, Records(room.jobs), room.objects)


def go_on() -> bool:
    return True


def test_a_book_whose_worker_died_after_its_last_chapter_goes_on() -> None:
    room = Bookroom()
    room.add_book()
    room.render()
    while not any(job.kind is JobKind.EDITION for job in room.jobs.jobs.values()):
        room.work_off(most=1)
    room.queue.messages.clear()
    made = room.book.editions[0].job
    del room.jobs.jobs[made]
    room.books.put(replace(room.book, editions=()))

    care_of(room).advance(go_on)

    assert room.jobs.jobs[made].kind is JobKind.EDITION


def test_an_edition_whose_job_is_gone_is_made_again() -> None:
    room = Bookroom()
    room.add_book()
    room.render()
    room.work_off()
    edition = room.book.editions[0].job
    del room.jobs.jobs[edition]
    room.books.put(room.book)

    care_of(room).advance(go_on)

    assert room.jobs.jobs[edition].state is JobState.QUEUED


def test_one_that_is_done_is_looked_at_no_more() -> None:
    room = Bookroom()
    room.add_book()
    room.render()
    room.work_off()
    room.books.put(room.book)

    care_of(room).advance(go_on)

    assert room.state is BookState.SUCCEEDED
    assert not room.books.unsettled()


def test_one_that_was_changed_while_it_was_spoken_waits_for_its_owner() -> None:
    room = Bookroom()
    room.add_book()
    room.render()
    room.work_off()
    room.rewrite("1", "Another beginning.")

    care_of(room).advance(go_on)

    assert room.state is BookState.READY
    assert not room.books.unsettled()


def test_a_render_that_was_never_recorded_is_given_up() -> None:
    room = Bookroom()
    room.add_book()
    job_id = room.render()
    del room.jobs.jobs[job_id]

    care_of(room).advance(go_on)
    assert room.state is BookState.RENDERING
    room.books.put(replace(room.book, touched_at=room.book.touched_at - LONGEST_BEGINNING_SECONDS))
    care_of(room).advance(go_on)

    assert room.state is BookState.READY


def test_a_book_whose_file_never_came_whole_goes() -> None:
    room = Bookroom()
    book = new_book(reading_job="of its reading")
    room.books.put(replace(book, touched_at=book.touched_at - LONGEST_BEGINNING_SECONDS))
    room.objects.objects[book.source_key] = b"a part"

    care_of(room).advance(go_on)
    care_of(room).expire(go_on)

    assert not room.books.books
    assert not room.objects.objects


def test_a_book_whose_time_is_over_goes_with_jobs_and_objects() -> None:
    room = Bookroom()
    room.add_book(keep_seconds=1.0)
    room.render()
    room.work_off()
    room.books.put(replace(room.book, touched_at=0.0, wanted=Wanted.NOTHING))

    care_of(room).expire(go_on)

    assert not room.books.books
    assert not room.jobs.jobs
    assert not [key for key in room.objects.objects if key.startswith("books/")]


def test_one_that_is_not_emptied_yet_stays_for_the_next_round() -> None:
    room = Bookroom()
    room.add_book(keep_seconds=1.0)
    room.deliver(room.render())
    room.books.put(replace(room.book, touched_at=0.0))

    care_of(room).expire(lambda: False)

    assert room.books.books
