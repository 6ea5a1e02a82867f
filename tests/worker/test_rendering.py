"""A book is rendered: each chapter that needs it becomes a job, whatever happens in between."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.advance import advance
from shared.books import BookState, Voicing, Wanted
from shared.jobs import Job, JobKind, JobState, Lane
from shared.voice_library import LibraryVoice
from tests.fake_books import BOOK_ID
from tests.worker.bookroom import TEXTS, Bookroom
from worker.attempt import Verdict
from worker.rendering import MOST_PROBLEMS


@pytest.fixture
def room() -> Bookroom:
    room = Bookroom()
    room.add_book()
    return room


def test_each_included_chapter_becomes_a_job_of_the_bulk_lane(room: Bookroom) -> None:
    second = room.book.chapters[1]
    room.books.put(room.book.with_chapter(replace(second, included=False)))

    job_id = room.render()
    room.deliver(job_id)

    one, two, three = room.book.chapters
    assert not two.job
    jobs = [room.jobs.jobs[one.job], room.jobs.jobs[three.job]]
    assert [(job.kind, job.lane, job.parent, job.long) for job in jobs] == [
        (JobKind.CHAPTER, Lane.BULK, BOOK_ID, True)
    ] * 2
    assert room.jobs.requests[three.job].text == TEXTS[2][1]
    assert room.jobs.jobs[job_id].state is JobState.SUCCEEDED


def test_a_chapter_s_request_has_the_pronunciations_of_its_own_words(room: Bookroom) -> None:
    words = {"new york": "noo yawk", "END": "ent", "船长": "/chuan2 zhang3/", "absent": "ab sent"}
    room.books.put(replace(room.book, voicing=Voicing("hum", pronunciations=words)))
    room.rewrite("1", "New\nYork.")
    room.rewrite("2", "One 船\n长.")

    room.deliver(room.render())

    requests = [room.jobs.requests[one.job].narration for one in room.book.chapters]
    assert [[*one.pronunciations] for one in requests if one] == [["new york"], ["船长"], ["END"]]


def test_rendered_twice_nothing_is_ordered_twice(room: Bookroom) -> None:
    room.deliver(room.render())
    ordered = list(room.children.created)

    room.deliver(room.render())

    assert [one for one in room.children.created if one not in ordered] == [room.book.render_job]


class Killed(BaseException):
    """As by kill -9: nothing more is done."""


@pytest.mark.parametrize("recorded", [False, True], ids=["before", "after"])
def test_a_worker_killed_around_the_record_leaves_nothing_double(room: Bookroom, *, recorded: bool) -> None:
    change = room.books.change

    def change_and_die(*arguments: object) -> None:
        if recorded:
            change(*arguments)  # pyright: ignore[reportArgumentType] - passed on
        raise Killed

    job_id = room.render()
    room.books.change = change_and_die  # pyright: ignore[reportAttributeAccessIssue] - a fault
    with pytest.raises(Killed):
        room.deliver(job_id)
    room.books.change = change

    room.deliver(job_id, redelivered=True)

    assert len(room.children.created) == 1 + len(TEXTS)
    assert room.states() == [JobState.QUEUED] * 3


def test_a_chapter_that_is_edited_while_it_is_ordered_is_spoken_as_it_is_then(room: Bookroom) -> None:
    room.books.before_change = lambda: room.rewrite("2", "Another text.")

    room.deliver(room.render())

    assert room.jobs.requests[room.book.chapters[1].job].text == "Another text."
    others = set(room.children.created) - {one.job for one in room.book.chapters} - {room.book.render_job}
    assert [room.jobs.jobs[one].state for one in others] == [JobState.CANCELLED]


def test_a_book_that_is_paused_meanwhile_gets_no_more_jobs(room: Bookroom) -> None:
    room.books.before_change = lambda: room.books.put(replace(room.book, wanted=Wanted.PAUSE))

    room.deliver(room.render())

    assert [one.job for one in room.book.chapters] == ["", "", ""]
    made = [job for job in room.jobs.jobs.values() if job.kind is JobKind.CHAPTER]
    assert {job.state for job in made} == {JobState.CANCELLED}


def test_an_unfinished_job_of_the_former_text_is_cancelled(room: Bookroom) -> None:
    room.deliver(room.render())
    former = room.book.chapters[0].job
    room.rewrite("1", "Another beginning.")

    room.deliver(room.render())

    assert room.jobs.jobs[former].state is JobState.CANCELLED
    assert room.book.chapters[0].job != former


def test_a_voice_that_the_engine_has_not_ends_it_with_its_name(room: Bookroom) -> None:
    room.books.put(replace(room.book, voicing=Voicing("hum", speakers={"John": "nobody"})))

    job_id = room.render()
    room.deliver(job_id)

    failure = room.jobs.jobs[job_id].failure
    assert failure
    assert failure.code == "unknown_voice"
    assert "'nobody'" in failure.message
    assert room.state is BookState.FAILED


def test_an_emotion_that_the_engine_has_no_more_ends_it_with_its_name(room: Bookroom) -> None:
    room.books.put(room.book.with_chapter(replace(room.book.chapters[1], emotion="angry")))

    job_id = room.render()
    room.deliver(job_id)

    failure = room.jobs.jobs[job_id].failure
    assert failure
    assert failure.code == "unknown_emotion"


def test_a_mark_that_can_t_be_followed_is_told_before_anything_is_spoken(room: Bookroom) -> None:
    room.rewrite("1", "[voice: Hum]Known by its name.")
    room.rewrite("2", "[voice: nobody]One.\n\n[emotion: odd]Two.")
    room.rewrite("3", "[pause: long]Three.")

    job_id = room.render()
    room.deliver(job_id)

    failure = room.jobs.jobs[job_id].failure
    assert failure
    assert failure.code == "invalid_mark"
    first, second, third = failure.message.split("; chapter")
    assert first == "chapter 2, paragraph 1: there is no voice 'nobody'"
    assert second.startswith(" 2, paragraph 2: there is no emotion 'odd'")
    assert third.startswith(" 3, paragraph 1: the mark '[pause: long]' can't be followed")
    assert room.children.created == [job_id]
    assert room.state is BookState.FAILED


def test_of_many_wrong_marks_the_first_are_told(room: Bookroom) -> None:
    room.rewrite("2", "[voice: nobody]One.\n\n" * (MOST_PROBLEMS + 1))

    job_id = room.render()
    room.deliver(job_id)

    failure = room.jobs.jobs[job_id].failure
    assert failure
    assert failure.message.count("nobody") == MOST_PROBLEMS
    assert failure.message.endswith("; and there are more")


def test_without_a_worker_that_speaks_it_waits(room: Bookroom) -> None:
    room.jobs.announced = None

    assert room.deliver(room.render()).verdict is Verdict.RETRY


def test_a_chapter_that_fails_leaves_the_others_alone_and_is_all_that_is_spoken_again(room: Bookroom) -> None:
    room.rewrite("2", "Please refuse this.")
    room.render()
    room.work_off()
    assert room.states() == [JobState.SUCCEEDED, JobState.FAILED, JobState.SUCCEEDED]
    assert room.state is BookState.FAILED
    assert not room.books.unsettled()
    room.engine.spoken.clear()
    room.rewrite("2", "Please accept this.")

    room.render()
    room.work_off()

    assert room.state is BookState.SUCCEEDED
    assert " ".join(room.engine.spoken) == "Please accept this."


def test_while_the_last_chapter_is_spoken_the_other_jobs_are_not_read(
    room: Bookroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.deliver(room.render())
    first, *_, last = room.chapter_jobs
    read: list[str] = []
    real = room.children.jobs

    def noted(ids: Sequence[str]) -> list[Job | None]:
        read.extend(ids)
        return real(ids)

    monkeypatch.setattr(room.children, "jobs", noted)

    assert not advance(BOOK_ID, books=room.books, children=room.children)
    assert (first.id in read, last.id in read) == (False, True)


VOICE = "voice-01a00000-0000-7000-8000-000000000001"


def with_library_voice(room: Bookroom, *, revision: int) -> None:
    """Give the book's owner a voice of their own, which is ready; the book was set to its first revision."""
    room.voices.voices[VOICE] = LibraryVoice(VOICE, "default", 0.0, revision=revision, checked=revision)
    voicing = replace(room.book.voicing, dialogue_voice=f"{VOICE}@1", speakers={"Anna": f"{VOICE}@1"})
    room.books.put(replace(room.book, voicing=voicing))


def test_an_owner_s_voice_speaks_as_it_is_now_and_what_it_spoke_before_is_spoken_again(room: Bookroom) -> None:
    with_library_voice(room, revision=1)
    room.deliver(room.render())
    before = {chapter.job for chapter in room.book.chapters}
    with_library_voice(room, revision=2)

    room.deliver(room.render())

    voicing = room.book.voicing
    assert (voicing.dialogue_voice, voicing.speakers) == (f"{VOICE}@2", {"Anna": f"{VOICE}@2"})
    assert not before & {chapter.job for chapter in room.book.chapters}


def test_a_voice_that_is_gone_fails_the_render_before_anything_is_spoken(room: Bookroom) -> None:
    with_library_voice(room, revision=1)
    del room.voices.voices[VOICE]

    job_id = room.render()
    room.deliver(job_id)

    failure = room.jobs.jobs[job_id].failure
    assert failure
    assert failure.code == "unknown_voice"
    assert not [job for job in room.jobs.jobs.values() if job.kind is JobKind.CHAPTER]


def test_a_mark_may_name_a_voice_of_the_owner_s(room: Bookroom) -> None:
    with_library_voice(room, revision=1)
    room.rewrite("1", f"[voice: {VOICE}]It begins.")
    room.deliver(room.render())
    assert room.jobs.jobs[room.book.chapters[0].job].state is JobState.QUEUED

    room.rewrite("1", f"[voice: {VOICE[:-1]}2]It begins.")
    job_id = room.render()
    room.deliver(job_id)

    failure = room.jobs.jobs[job_id].failure
    assert failure
    assert failure.code == "invalid_mark"
