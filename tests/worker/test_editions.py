"""Spoken chapters become editions, whatever is lost or done twice on the way."""

import hashlib
import io
import zipfile
from dataclasses import replace
from typing import Any, BinaryIO

import av
import pytest

from books.editions import EncodedChapter
from shared.advance import advance
from shared.books import BookState, Wanted
from shared.edition_order import load_order
from shared.jobs import JOIN, PLAN, JobKind, JobState
from tests.fake_books import BOOK_ID
from tests.worker.bookroom import TEXTS, Bookroom
from tests.worker.voiced import add_ready_voice
from worker import encoding


@pytest.fixture
def room() -> Bookroom:
    room = Bookroom()
    room.add_book(metadata={"title": "A Book", "author": "Somebody", "language": "en"})
    return room


def rendered(room: Bookroom, *formats: str) -> Bookroom:
    room.render(*formats)
    room.work_off()
    assert room.state is BookState.SUCCEEDED
    return room


def edition_jobs(room: Bookroom) -> list[str]:
    return [one for one in room.children.created if room.jobs.jobs[one].kind is JobKind.EDITION]


def test_an_m4b_has_the_chapters_in_their_order(room: Bookroom) -> None:
    rendered(room)

    with av.open(io.BytesIO(room.edition())) as book:
        assert [chapter["metadata"]["title"] for chapter in book.chapters()] == [title for title, _ in TEXTS]
        assert book.metadata["title"] == "A Book"


def test_every_format_is_made_and_what_is_alike_is_encoded_once(room: Bookroom) -> None:
    rendered(room, "m4b", "mp3", "opus", "flac", "wav", "srt", "vtt", "epub")

    for format in ("mp3", "opus", "flac", "wav"):
        with zipfile.ZipFile(io.BytesIO(room.edition(format))) as archive:
            assert [name[:8] for name in archive.namelist()] == ["01 - One", "02 - Two", "03 - Thr"]
    with zipfile.ZipFile(io.BytesIO(room.edition("epub"))) as archive:
        assert archive.read("mimetype") == b"application/epub+zip"
    assert room.edition("vtt").startswith(b"WEBVTT")
    assert sum(key.endswith(".m4a") for key in room.objects.objects) == len(TEXTS)


def test_what_a_library_voice_speaks_goes_with_it_but_for_the_finished_edition(room: Bookroom) -> None:
    voice = add_ready_voice(room)
    room.books.change(BOOK_ID, lambda book: replace(book, voicing=replace(book.voicing, voice=voice.reference)))

    rendered(room)

    noted = {key for key in room.objects.objects if key in room.voices.spoken[voice.reference]}
    spoken = {key for key in room.objects.objects if key.startswith("audio/")}
    assert {key.rpartition(".")[2] for key in noted} == {"flac", "m4a"}
    assert spoken - noted == {key for key in spoken if key.endswith(".m4b")}


def test_an_edition_counts_for_no_usage_and_no_audio(room: Bookroom) -> None:
    rendered(room)

    (edition,) = edition_jobs(room)
    assert room.jobs.jobs[edition].engine_seconds == 0
    assert room.jobs.jobs[edition].audio_seconds > 0


def test_whatever_order_the_steps_are_done_in_the_bytes_are_the_same() -> None:
    digests: set[str] = set()
    for last_first in (False, True):
        room = Bookroom()
        room.add_book()
        room.render("m4b", "srt")
        room.work_off(last_first=last_first)
        digests.add(hashlib.sha256(room.edition() + room.edition("srt")).hexdigest())

    assert len(digests) == 1


def test_the_last_chapter_begins_the_edition_and_asking_again_changes_nothing(room: Bookroom) -> None:
    room.render()
    room.work_off()
    created = list(room.children.created)

    for _ in range(3):
        advance(BOOK_ID, books=room.books, children=room.children)

    assert room.children.created == created
    assert not room.books.unsettled()


def test_what_a_killed_worker_left_the_sweeper_goes_on_with(room: Bookroom) -> None:
    heard = room.books.get
    render_job = room.render()
    room.deliver(render_job)
    room.queue.messages = [one for one in room.queue.messages if one[0] != render_job]
    while room.queue.messages:
        job_id, step, _ = room.queue.messages.pop(0)
        room.books.get = (lambda _: None) if step == JOIN else heard  # pyright: ignore[reportAttributeAccessIssue]
        room.deliver(job_id, step)
    room.books.get = heard
    assert room.states() == [JobState.SUCCEEDED] * 3
    assert not edition_jobs(room)

    advance(BOOK_ID, books=room.books, children=room.children)
    room.work_off()

    assert room.state is BookState.SUCCEEDED


def test_a_new_title_makes_a_new_edition_and_speaks_nothing(room: Bookroom) -> None:
    rendered(room)
    room.engine.spoken.clear()
    room.books.put(room.book.with_chapter(replace(room.book.chapters[0], title="A better one")))

    rendered(room)

    assert not room.engine.spoken
    assert len(edition_jobs(room)) == 2
    with av.open(io.BytesIO(room.edition())) as book:
        assert book.chapters()[0]["metadata"]["title"] == "A better one"


def test_rendered_again_unchanged_the_edition_stays(room: Bookroom) -> None:
    rendered(rendered(room))

    assert len(edition_jobs(room)) == 1


def lose(room: Bookroom, address: str | None) -> None:
    del room.objects.objects[room.jobs.stored[address or ""].key]


@pytest.mark.parametrize("forgotten", [False, True], ids=["object", "record"])
def test_a_chapter_whose_audio_is_lost_is_joined_again_for_the_edition(room: Bookroom, *, forgotten: bool) -> None:
    room.render()
    while not edition_jobs(room):
        room.work_off(most=1)
    address = room.chapter_jobs[1].audio_address
    lose(room, address)
    if forgotten:
        del room.jobs.stored[address or ""]
    room.engine.spoken.clear()

    room.work_off()

    assert room.state is BookState.SUCCEEDED
    assert not room.engine.spoken
    assert room.chapter_jobs[1].repairs == 1


def test_lost_segments_of_a_lost_chapter_are_spoken_again(room: Bookroom) -> None:
    room.render()
    while not edition_jobs(room):
        room.work_off(most=1)
    room.engine.spoken.clear()
    for address in (room.chapter_jobs[0].audio_address, room.jobs.steps[room.chapter_jobs[0].id]["0"].audio_address):
        lose(room, address)

    room.work_off()

    assert room.state is BookState.SUCCEEDED
    assert " ".join(room.engine.spoken) == TEXTS[0][1]


def test_an_encoded_chapter_that_is_lost_is_encoded_again(room: Bookroom) -> None:
    room.render()
    while not any(step == JOIN and job_id in edition_jobs(room) for job_id, step, _ in room.queue.messages):
        room.work_off(most=1)
    (edition,) = edition_jobs(room)
    lose(room, room.jobs.steps[edition]["2"].audio_address)

    room.work_off()

    assert room.state is BookState.SUCCEEDED


def test_no_chapter_is_left_out_of_the_subtitles_though_its_times_are_lost(room: Bookroom) -> None:
    room.render("srt")
    while not any(step == JOIN and job_id in edition_jobs(room) for job_id, step, _ in room.queue.messages):
        room.work_off(most=1)
    del room.jobs.stored[room.chapter_jobs[1].audio_address or ""]

    room.work_off()

    assert room.state is BookState.SUCCEEDED
    assert "The second chapter." in room.edition("srt").decode()


def test_a_store_that_loses_every_chapter_ends_the_edition(room: Bookroom) -> None:
    room.render()
    while not edition_jobs(room):
        room.work_off(most=1)
    (edition,) = edition_jobs(room)
    put = room.objects.put
    key = room.jobs.stored[room.chapter_jobs[0].audio_address or ""].key
    del room.objects.objects[key]
    room.objects.put = lambda name, *rest, **named: None if name == key else put(name, *rest, **named)  # pyright: ignore

    room.work_off()

    failure = room.jobs.jobs[edition].failure
    assert failure
    assert failure.code == "audio_missing"
    assert room.state is BookState.FAILED


def test_a_cancelled_edition_stops(room: Bookroom) -> None:
    room.render()
    while not edition_jobs(room):
        room.work_off(most=1)
    (edition,) = edition_jobs(room)
    room.children.cancel(edition)

    room.work_off()

    assert room.jobs.steps[edition].get(PLAN) is None


def test_a_cover_that_is_no_picture_fails_the_edition_with_a_reason(room: Bookroom) -> None:
    data = b"no picture"
    room.books.put(replace(room.book, cover_sha256=hashlib.sha256(data).hexdigest(), cover_type="image/png"))
    room.objects.objects[room.book.cover_key] = data

    room.render()
    room.work_off()

    failure = room.jobs.jobs[edition_jobs(room)[0]].failure
    assert failure
    assert failure.code == "edition_impossible"


def test_a_book_that_is_changed_after_its_end_is_to_be_rendered_again(room: Bookroom) -> None:
    rendered(room)

    room.rewrite("2", "Something else.")

    assert room.state is BookState.READY


def test_until_its_new_edition_is_there_a_book_is_being_assembled(room: Bookroom) -> None:
    rendered(room)
    room.rewrite("2", "Something else.")
    room.render()
    while len(edition_jobs(room)) < 2:
        assert room.state is BookState.RENDERING
        room.work_off(most=1)

    assert room.state is BookState.ASSEMBLING


def test_an_edition_that_is_wanted_no_more_does_not_matter(room: Bookroom) -> None:
    room.render("m4b", "mp3")
    while len(edition_jobs(room)) < 2:
        room.work_off(most=1)
    for one in edition_jobs(room):
        room.children.cancel(one)

    rendered(room, "m4b")


def ahead(room: Bookroom) -> list[str]:
    return [one for one in room.children.created if room.jobs.jobs[one].kind is JobKind.ENCODING]


def test_a_chapter_is_encoded_while_others_are_spoken(room: Bookroom, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = count_encodings(monkeypatch)
    room.render("m4b", "srt")
    while not ahead(room):
        room.work_off(most=1)
    (first,) = ahead(room)

    room.deliver(first)
    unspoken = [state for state in room.states() if state is not JobState.SUCCEEDED]
    assert unspoken
    assert room.jobs.jobs[first].state is JobState.SUCCEEDED
    assert len(encoded) == 1

    room.work_off()
    assert room.state is BookState.SUCCEEDED
    assert len(ahead(room)) == len(TEXTS) - 1  # the last one's edition is at once begun
    assert len(encoded) == len(TEXTS)


def test_what_was_encoded_ahead_under_another_title_is_encoded_again(room: Bookroom) -> None:
    room.render("mp3")
    while not ahead(room):
        room.work_off(most=1)
    room.books.put(replace(room.book, metadata={"title": "Renamed"}))
    room.work_off()

    with zipfile.ZipFile(io.BytesIO(room.edition("mp3"))) as archive:
        first, *_ = (io.BytesIO(archive.read(name)) for name in archive.namelist())
    with av.open(first) as chapter:
        assert chapter.metadata["album"] == "Renamed"


def test_of_a_paused_book_nothing_is_encoded_ahead(room: Bookroom) -> None:
    room.deliver(room.render())
    room.books.put(replace(room.book, wanted=Wanted.PAUSE))
    room.work_off()

    assert room.states() == [JobState.SUCCEEDED] * len(TEXTS)  # what was in hand came to its end
    assert not ahead(room)


@pytest.mark.parametrize("wanted", [Wanted.PAUSE, Wanted.CANCEL, None])
def test_nothing_is_encoded_ahead_of_a_book_that_is_not_wanted_any_more(
    room: Bookroom, monkeypatch: pytest.MonkeyPatch, wanted: Wanted | None
) -> None:
    encoded = count_encodings(monkeypatch)
    room.render("mp3")
    while not ahead(room):
        room.work_off(most=1)
    if wanted:
        room.books.put(replace(room.book, wanted=wanted))
    else:
        room.books.forget(room.book)  # while the job was made: nobody saw it to remove it

    room.deliver(*ahead(room))

    assert [room.jobs.jobs[one].state for one in ahead(room)] == [JobState.CANCELLED]
    assert not encoded


def test_a_chapter_that_was_rewritten_meanwhile_is_not_encoded_ahead(room: Bookroom) -> None:
    room.deliver(room.render("mp3"))
    room.rewrite("1", "Another first chapter.")
    room.work_off()

    assert room.states() == [JobState.SUCCEEDED] * len(TEXTS)
    orders = [load_order(room.jobs.requests[one]) for one in ahead(room)]
    assert "One" not in [order.chapters[0].title for order in orders]
    assert "Two" in [order.chapters[0].title for order in orders]


def count_encodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    formats: list[str] = []
    real = encoding.encode_chapter

    def counted(*files: BinaryIO, **how: Any) -> EncodedChapter:
        formats.append(how["format"])
        return real(*files, **how)

    monkeypatch.setattr(encoding, "encode_chapter", counted)
    return formats
