"""A former edition goes when the book is made anew, with what nobody else has of it."""

from dataclasses import dataclass, replace

import pytest

from shared.books import BookState
from shared.errors import StoreUnavailable
from shared.jobs import JobKind
from tests.fake_books import BOOK_ID
from tests.worker.bookroom import Bookroom
from worker.superseded import Superseded


@dataclass
class Records:
    """What is needed of the sweeper's store, over the records of a room."""

    room: Bookroom
    away: bool = False

    def remove(self, job_id: str, *, now: float) -> None:
        if self.away:
            raise StoreUnavailable
        del self.room.jobs.jobs[job_id]


@pytest.fixture
def room() -> Bookroom:
    room = Bookroom()
    room.add_book()
    room.runtime = replace(room.runtime, superseded=Superseded(room.books, room.children, Records(room)))
    return room


def rendered(room: Bookroom, *formats: str) -> None:
    room.render(*formats)
    room.work_off()
    assert room.state is BookState.SUCCEEDED


def jobs_of(room: Bookroom, *kinds: JobKind) -> set[str]:
    return {job.id for job in room.jobs.jobs.values() if job.kind in kinds}


def test_the_former_edition_goes_and_the_current_ones_stay(room: Bookroom) -> None:
    rendered(room, "m4b", "srt")
    former = {edition.job for edition in room.book.editions}
    assert jobs_of(room, JobKind.EDITION) == former

    room.rewrite("2", "Another second chapter.")
    rendered(room, "m4b", "srt")

    current = {edition.job for edition in room.book.editions}
    assert jobs_of(room, JobKind.EDITION) == current
    assert not current & former
    assert not jobs_of(room, JobKind.ENCODING)
    assert {chapter.job for chapter in room.book.chapters} < jobs_of(room, JobKind.CHAPTER)  # those can be gone back to
    assert room.edition("m4b")
    assert room.edition("srt")


def test_an_edition_that_was_not_asked_for_again_stays(room: Bookroom) -> None:
    rendered(room, "m4b", "vtt")
    (vtt,) = [edition.job for edition in room.book.editions if edition.format == "vtt"]

    room.rewrite("2", "Another second chapter.")
    rendered(room, "m4b")

    assert vtt in jobs_of(room, JobKind.EDITION)


def test_nothing_goes_while_an_edition_is_being_made(room: Bookroom) -> None:
    rendered(room, "m4b")
    (former,) = [edition.job for edition in room.book.editions]
    room.rewrite("2", "Another second chapter.")
    room.render("m4b")
    while room.book.editions[0].job == former:
        room.work_off(most=1)

    Superseded(room.books, room.children, Records(room)).let_go(BOOK_ID)

    assert former in jobs_of(room, JobKind.EDITION)


def test_nothing_goes_of_a_book_that_is_made_anew_meanwhile(room: Bookroom, monkeypatch: pytest.MonkeyPatch) -> None:
    superseded, room.runtime = room.runtime.superseded, replace(room.runtime, superseded=None)
    rendered(room, "m4b")
    room.rewrite("2", "Another second chapter.")
    rendered(room, "m4b")
    page = room.children.page

    def while_it_is_rendered(parent: str, *, after: str, limit: int) -> list[str]:
        monkeypatch.undo()
        rendered(room, "m4b", "mp3")
        return page(parent, after=after, limit=limit)

    monkeypatch.setattr(room.children, "page", while_it_is_rendered)
    assert superseded
    superseded.let_go(BOOK_ID)

    assert {edition.job for edition in room.book.editions} < jobs_of(room, JobKind.EDITION)


def test_an_edition_is_made_also_when_the_former_can_t_be_let_go(room: Bookroom) -> None:
    away = Superseded(room.books, room.children, Records(room, away=True))
    room.runtime = replace(room.runtime, superseded=away)
    rendered(room, "m4b")
    room.rewrite("2", "Another second chapter.")

    rendered(room, "m4b")
