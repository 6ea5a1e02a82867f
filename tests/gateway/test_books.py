"""A book's life at the gateway, its jobs done by the test."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from gateway.book_showing import Expected, eta_seconds
from gateway.settings import GatewaySettings
from shared.book_store import Decide
from shared.books import Book, Wanted
from shared.children import ParentNews, child_id
from shared.jobs import Failure, JobKind, JobState, Lane
from shared.ports import LaneLoad
from tests.gateway.books import TEXTS, put, read_book, rendered, with_edition
from tests.gateway.conftest import World, world_with
from tests.pictures import jpeg_header, png

SPOKEN = (JobState.SUCCEEDED, JobState.SUCCEEDED)
JPEG = jpeg_header()


@pytest.fixture
def world() -> Iterator[World]:
    settings = GatewaySettings(max_body_bytes=64 * 1024, max_file_bytes=64 * 1024, engine_hour_price=3.6)
    with world_with(settings) as world:
        yield world


def send(
    world: World, data: bytes = b"It begins.", *, name: str = "book.txt", key: str = "", **options: object
) -> httpx2.Response:
    fields = {"options": json.dumps(options)} if options else None
    headers = {"Idempotency-Key": key} if key else {}
    return world.client.post("/v1/books", files={"file": (name, data)}, data=fields, headers=headers)


def change(world: World, book_id: str, **fields: object) -> httpx2.Response:
    return world.client.patch(f"/v1/books/{book_id}", json=fields)


def do(world: World, book_id: str, what: str, **body: object) -> httpx2.Response:
    return world.client.post(f"/v1/books/{book_id}/{what}", json=body if what == "render" else None)


def show(world: World, book_id: str) -> dict[str, Any]:
    answer = world.client.get(f"/v1/books/{book_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_book_s_file_is_stored_and_its_reading_enqueued(world: World) -> None:
    answer = send(world, b"It begins.", name="C:\\books\\mine.txt", voice="Buzz", tables=False, metadata={"title": "T"})

    assert answer.status_code == 202, answer.text
    shown, book = answer.json(), world.books.books[answer.json()["id"]]
    assert answer.headers["Location"] == f"/v1/books/{book.id}"
    assert (shown["state"], shown["voicing"]["voice"], shown["metadata"]) == ("reading", "buzz", {"title": "T"})
    assert shown["source"] == {"name": "mine.txt", "bytes": 10, "sha256": hashlib.sha256(b"It begins.").hexdigest()}
    assert world.objects.objects[book.source_key] == b"It begins."
    assert book.options == {"tables": False}
    assert world.queue.messages == [(child_id(book.id, "reading"), "0", Lane.ASSEMBLY)]
    job = world.records.jobs[book.reading_job]
    assert (job.kind, job.parent, job.characters) == (JobKind.READING, book.id, 0)


def test_a_book_is_accepted_while_the_broker_is_away(world: World) -> None:
    """Its job is recorded: the sweeper sends it."""
    world.queue.refuses = True

    assert send(world).status_code == 202


def test_nothing_stays_of_a_book_whose_file_can_t_be_stored(world: World) -> None:
    world.objects.outages = 1

    answer = send(world)

    assert (answer.status_code, world.books.books, world.records.jobs) == (503, {}, {})


def test_a_book_sent_again_with_its_key_is_the_same_book(world: World) -> None:
    first, again = send(world, key="mine"), send(world, key="mine")
    other = send(world, b"Another file.", key="mine")

    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert len(world.books.books) == len(world.objects.objects) == 1


@pytest.mark.parametrize(
    ("files", "fields", "code"),
    [
        ({"file": ("a.txt", b"x")}, {"options": "{"}, "invalid_json"),
        ({"file": ("a.txt", b"x")}, {"options": '{"voice": "nobody"}'}, "unknown_voice"),
        ({"file": ("a.txt", b"x")}, {"options": '{"speakers": {"Anna": "nobody"}}'}, "unknown_voice"),
        ({"file": ("a.txt", b"x")}, {"options": '{"emotion": "furious"}'}, "unknown_emotion"),
        ({"file": ("a.txt", b"x")}, {"options": '{"colour": "red"}'}, "unknown_field"),
        ({"file": ("a.txt", b"x")}, {"options": '{"keep_seconds": 1e9}'}, "keep_too_long"),
        ({"file": ("a.txt", b"x")}, {"other": "x"}, "invalid_form"),
        ({"file": ("a.txt", b"")}, {}, "empty_file"),
        ({"book": ("a.txt", b"x")}, {}, "invalid_form"),
        ({"file": ("a.txt", bytes(65 * 1024))}, {}, "file_too_large"),
        ({"file": ("a.txt", bytes(4 * 1024 * 1024))}, {}, "body_too_large"),
    ],
)
def test_what_is_no_book_is_refused(world: World, files: Any, fields: dict[str, str], code: str) -> None:
    answer = world.client.post("/v1/books", files=files, data=fields)

    assert answer.json()["code"] == code
    assert not world.books.books


def test_a_form_that_breaks_off_is_refused(world: World) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}

    answer = world.client.post("/v1/books", content=b"--x\r\nContent-Disposition: nothing", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_form")


def test_a_large_file_is_uploaded_past_the_gateway_and_named(world: World) -> None:
    upload = world.client.post("/v1/uploads").json()
    world.objects.objects[upload["key"]] = b"It begins."

    answer = world.client.post("/v1/books", json={"source_key": upload["key"], "file_name": "a.md", "speed": 1.5})

    assert answer.status_code == 202, answer.text
    assert answer.json()["source"]["name"] == "a.md"
    assert upload["url"].startswith(f"http://objects.test/{upload['key']}")
    assert world.books.let_gone.keys() == {upload["key"]}


@pytest.mark.parametrize("key", ["uploads/default/none", "uploads/other/x", "books/x/source", "uploads/default/a/../b"])
def test_only_a_file_of_one_s_own_can_be_named(world: World, key: str) -> None:
    world.objects.objects |= {"uploads/other/x": b"theirs", "books/x/source": b"theirs"}

    answer = world.client.post("/v1/books", json={"source_key": key})

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_upload")


def test_an_upload_that_is_too_large_is_refused(world: World) -> None:
    world.objects.objects["uploads/default/x"] = bytes(65 * 1024)

    answer = world.client.post("/v1/books", json={"source_key": "uploads/default/x"})

    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")


def test_a_book_that_is_read_shows_its_plan(world: World) -> None:
    book = read_book(world)

    shown = show(world, book.id)

    assert shown["state"] == "ready"
    assert [(one["id"], one["title"], one["state"]) for one in shown["chapters"]] == [
        ("1", "Chapter 1", None),
        ("2", "Chapter 2", None),
    ]
    assert shown["estimated_minutes"] == 0.2
    assert shown["progress"] == {"chapters_done": 0, "chapters_total": 2, "segments_done": 0, "segments_total": 2}
    assert shown["cost"] == {"engine_seconds": 0.0, "engine_seconds_left": 4.0, "price": 0.0}
    assert shown["eta_seconds"] is None


def test_books_are_listed_page_by_page(world: World) -> None:
    ids = [read_book(world).id for _ in range(3)][::-1]

    newest = world.client.get("/v1/books?limit=2").json()
    older = world.client.get("/v1/books", params={"limit": 2, "cursor": newest["next_cursor"]}).json()

    assert [one["id"] for one in newest["books"] + older["books"]] == ids
    assert older["next_cursor"] is None
    assert world.client.get("/v1/books?cursor=x").status_code == 400


def test_an_unchanged_book_is_not_sent_again(world: World) -> None:
    book = read_book(world)
    etag = world.client.get(f"/v1/books/{book.id}").headers["ETag"]

    same = world.client.get(f"/v1/books/{book.id}", headers={"If-None-Match": etag})
    change(world, book.id, speed=1.5)

    assert same.status_code == 304
    assert world.client.get(f"/v1/books/{book.id}", headers={"If-None-Match": etag}).status_code == 200


def test_who_waits_for_a_book_is_answered_when_its_time_is_over(world: World) -> None:
    book_id = send(world).json()["id"]

    assert world.client.get(f"/v1/books/{book_id}?wait=0.05").json()["state"] == "reading"


def test_chapters_are_left_out_renamed_and_reordered(world: World) -> None:
    book = read_book(world)
    chapters = [{"id": "1", "title": "Beginn", "voice": "Buzz", "speed": 2}, {"id": "2", "included": False}]

    answer = change(world, book.id, chapters=chapters, order=["2", "1"], metadata={"author": "A", "title": None})

    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert [(one["id"], one["title"], one["included"], one["voice"]) for one in shown["chapters"]] == [
        ("2", "Chapter 2", False, None),
        ("1", "Beginn", True, "buzz"),
    ]
    assert shown["metadata"] == {"author": "A", "language": "zh"}
    assert shown["estimated_minutes"] == 0.1  # 6 s at twice the speed
    assert (
        change(world, book.id, chapters=[{"id": "1", "voice": None, "speed": None}]).json()["chapters"][1]["voice"]
        is None
    )


def test_a_text_that_the_store_does_not_give_is_an_error_of_the_gateway(world: World) -> None:
    book = read_book(world)
    world.objects.outages = 1

    answer = world.client.get(f"/v1/books/{book.id}/chapters/1/text")

    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")


def test_an_edited_text_is_what_is_spoken_next(world: World) -> None:
    book = rendered(world, read_book(world), states=SPOKEN)

    shown = change(world, book.id, chapters=[{"id": "2", "text": "# Two\r\n\r\nIt goes on.\n"}]).json()

    assert [one["state"] for one in shown["chapters"]] == ["succeeded", None]
    assert shown["chapters"][1]["characters"] == len("# Two\n\nIt goes on.")
    assert world.client.get(f"/v1/books/{book.id}/chapters/2/text").text == "# Two\n\nIt goes on."
    assert world.client.get(f"/v1/books/{book.id}/chapters/1/text").text == TEXTS[0]
    assert world.client.get(f"/v1/books/{book.id}/chapters/3/text").json()["code"] == "chapter_not_found"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"chapters": [{"id": "9", "title": "x"}]}, "unknown_chapter"),
        ({"order": ["1"]}, "invalid_order"),
        ({"order": ["1", "1"]}, "invalid_order"),
        ({"dialogue_voice": "nobody"}, "unknown_voice"),
        ({"chapters": [{"id": "1", "text": "bell \u0007"}]}, "control_character"),
        ({"chapters": [{"id": "1", "emotion": "furious"}]}, "unknown_emotion"),
        ({"loudness": "loud"}, "invalid_value"),
        ({"metadata": {"isbn": "1"}}, "invalid_value"),
        ({"pronunciations": {"gif": " "}}, "invalid_value"),
    ],
)
def test_a_wrong_change_changes_nothing(world: World, body: dict[str, object], code: str) -> None:
    book = read_book(world)

    answer = change(world, book.id, **{"speed": 2.0, **body})

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert world.books.books[book.id] == book


def test_a_book_that_is_being_read_can_t_be_changed(world: World) -> None:
    book_id = send(world).json()["id"]

    for answer in (change(world, book_id, speed=2), do(world, book_id, "render"), do(world, book_id, "pause")):
        assert (answer.status_code, answer.json()["code"], answer.json()["state"]) == (409, "book_conflict", "reading")


def test_a_book_that_could_not_be_read_says_why(world: World) -> None:
    book_id = send(world).json()["id"]
    job = world.records.jobs[world.books.books[book_id].reading_job]
    world.records.jobs[job.id] = job.failed(Failure("book_broken", "the file is damaged"), now=0)

    shown, refused = show(world, book_id), do(world, book_id, "render")

    assert (shown["state"], shown["error"]["code"]) == ("failed", "book_broken")
    assert refused.json()["code"] == "book_unread"
    assert "the file is damaged" in refused.json()["detail"]


@pytest.mark.parametrize("doing", ["retry", "resume"])
def test_a_book_that_could_not_be_read_is_read_again(world: World, doing: str) -> None:
    book_id = send(world).json()["id"]
    first = world.records.jobs[world.books.books[book_id].reading_job]
    world.records.jobs[first.id] = first.failed(Failure("storage_unavailable", "it is away"), now=0)

    answer, again = do(world, book_id, doing), do(world, book_id, doing)

    assert (answer.status_code, answer.json()["state"], answer.json()["error"]) == (202, "reading", None)
    assert (again.status_code, again.json()["code"]) == (409, "book_conflict")  # it is being read
    second = world.records.jobs[world.books.books[book_id].reading_job]
    assert (second.kind, second.parent) == (JobKind.READING, book_id)
    assert [one for one, _, _ in world.queue.messages] == [first.id, second.id]


def test_two_who_ask_at_once_for_a_book_to_be_read_again_have_it_read_once(world: World) -> None:
    book_id = send(world).json()["id"]
    book = world.books.books[book_id]
    job = world.records.jobs[book.reading_job]
    world.records.jobs[job.id] = job.failed(Failure("storage_unavailable", "it is away"), now=0)
    do(world, book_id, "retry")
    begun = world.books.books[book_id]
    put(world, book)  # as another gateway had seen it

    do(world, book_id, "retry")

    assert world.books.books[book_id].reading_job == begun.reading_job


def test_a_chapter_that_is_named_twice_is_changed_twice(world: World) -> None:
    book = read_book(world)

    shown = change(world, book.id, chapters=[{"id": "1", "title": "First"}, {"id": "1", "included": False}]).json()

    assert (shown["chapters"][0]["title"], shown["chapters"][0]["included"]) == ("First", False)


def test_a_change_does_not_stop_a_render_that_began_meanwhile(world: World) -> None:
    book = read_book(world)
    change = world.books.change

    async def begun_meanwhile(book_id: str, decide: Decide) -> Book | None:
        put(world, replace(world.books.books[book_id], wanted=Wanted.RENDER, renders=1))
        return await change(book_id, decide)

    world.books.change = begun_meanwhile

    world.client.patch(f"/v1/books/{book.id}", json={"speed": 1.5})

    assert world.books.books[book.id].voicing.speed == 1.5
    assert world.books.books[book.id].wanted is Wanted.RENDER


def test_a_cover_is_a_picture(world: World) -> None:
    book = read_book(world)

    shown = world.client.put(f"/v1/books/{book.id}/cover", content=JPEG).json()
    other = world.client.put(f"/v1/books/{book.id}/cover", content=png())

    assert shown["cover"] == {"content_type": "image/jpeg", "sha256": hashlib.sha256(JPEG).hexdigest()}
    assert other.json()["cover"]["content_type"] == "image/png"
    assert world.objects.objects[world.books.books[book.id].cover_key] == png()
    assert world.client.delete(f"/v1/books/{book.id}/cover").json()["cover"] is None


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", JPEG[:24], png(20_000), jpeg_header(0)]
)
def test_what_is_no_picture_is_no_cover(world: World, data: bytes) -> None:
    answer = world.client.put(f"/v1/books/{read_book(world).id}/cover", content=data)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cover")


def test_a_render_is_one_job_of_the_book(world: World) -> None:
    book = read_book(world)

    answer = do(world, book.id, "render", formats=["m4b", "srt", "m4b"], loudness="acx")

    assert answer.status_code == 202, answer.text
    now = world.books.books[book.id]
    assert (now.wanted, now.formats, now.loudness, now.renders) == (Wanted.RENDER, ("m4b", "srt"), "acx", 1)
    assert now.render_job == child_id(book.id, "render 1")
    assert world.queue.messages == [(now.render_job, "0", Lane.ASSEMBLY)]
    assert answer.json()["state"] == "rendering"
    assert [one["state"] for one in answer.json()["editions"]] == [None, None]


def test_a_book_without_a_chapter_is_not_rendered(world: World) -> None:
    book = read_book(world)
    change(world, book.id, chapters=[{"id": "1", "included": False}, {"id": "2", "included": False}])

    assert do(world, book.id, "render").json()["code"] == "nothing_included"


def test_a_chapter_that_nobody_could_put_together_is_refused_before_it_is_spoken(world: World) -> None:
    book = read_book(world)
    put(world, book.with_chapter(replace(book.chapters[1], estimated_seconds=50 * 3600.0)))

    refused = do(world, book.id, "render")
    change(world, book.id, chapters=[{"id": "2", "included": False}])

    assert (refused.status_code, refused.json()["code"]) == (422, "chapter_too_long")
    assert "chapter 2 would last 50 hours; a chapter may last 10" in refused.json()["detail"]
    assert do(world, book.id, "render").status_code == 202


def test_what_is_to_be_spoken_has_to_be_within_the_quota(world: World) -> None:
    world.tenants.limits["default"] = {"characters_per_day": len(TEXTS[0]) + 1, "concurrent_jobs": 1}
    book = read_book(world)

    refused = do(world, book.id, "render")
    change(world, book.id, chapters=[{"id": "2", "included": False}])
    taken = do(world, book.id, "render")

    assert (refused.status_code, refused.json()["quota"]) == (429, "characters_per_day")
    assert (taken.status_code, taken.json()["formats"]) == (202, ["m4b"])


def test_a_refused_render_leaves_the_book_as_it_was(world: World) -> None:
    world.tenants.limits["default"] = {"characters_per_day": 1}
    book = read_book(world)

    do(world, book.id, "render")

    assert show(world, book.id)["state"] == "ready"


def test_progress_is_told_by_chapter(world: World) -> None:
    book = rendered(world, read_book(world), states=(JobState.SUCCEEDED, JobState.RUNNING))

    shown = show(world, book.id)

    assert shown["state"] == "rendering"
    assert shown["progress"] == {"chapters_done": 1, "chapters_total": 2, "segments_done": 5, "segments_total": 8}
    assert shown["eta_seconds"] == 3.5  # three segments, one each half a second, and the last takes two
    assert shown["cost"] == {"engine_seconds": 3.0, "engine_seconds_left": 2.2, "price": 0.01}  # three of 3/4 s
    assert shown["chapters"][0]["audio"] == f"/v1/books/{book.id}/chapters/1/audio"


def test_what_others_have_in_the_lane_is_part_of_the_time_to_go() -> None:
    expected = Expected(done=0, total=10, waiting=2)  # the other eight are not planned yet

    assert eta_seconds(expected, LaneLoad(7, 0.0, 0.5, 2.0)) == (10 + 5) * 0.5 + 2.0


def test_a_pause_cancels_what_is_not_spoken_and_resume_goes_on(world: World) -> None:
    book = rendered(world, read_book(world), states=(JobState.SUCCEEDED, JobState.RUNNING))

    paused, again = do(world, book.id, "pause"), do(world, book.id, "pause")
    states = [world.records.jobs[one.job].state for one in book.chapters]
    resumed = do(world, book.id, "resume")

    assert (paused.json()["state"], again.status_code) == ("paused", 200)
    assert states == [JobState.SUCCEEDED, JobState.CANCELLED]
    assert (resumed.status_code, resumed.json()["state"]) == (202, "rendering")
    assert world.books.books[book.id].renders == 2


def test_a_failed_chapter_is_retried(world: World) -> None:
    book = rendered(world, read_book(world), states=(JobState.SUCCEEDED, JobState.FAILED))

    failed, retried, again = show(world, book.id), do(world, book.id, "retry"), do(world, book.id, "retry")

    assert (failed["state"], failed["error"]["code"]) == ("failed", "engine_failed")
    assert failed["chapters"][1]["error"]["message"] == "it could not be spoken"
    assert (retried.status_code, again.status_code) == (202, 202)
    assert world.books.books[book.id].renders == 2  # while it is at work, there is nothing to retry


@pytest.mark.parametrize("what", ["pause", "resume", "retry", "cancel"])
def test_what_was_never_begun_can_t_be_gone_on_with(world: World, what: str) -> None:
    answer = do(world, read_book(world).id, what)

    assert (answer.status_code, answer.json()["code"]) == (409, "book_conflict")
    assert "ready" not in answer.json()["allowed"]


def test_a_cancelled_book_can_still_be_rendered(world: World) -> None:
    book = rendered(world, read_book(world), states=(JobState.SUCCEEDED, JobState.QUEUED))

    assert do(world, book.id, "cancel").json()["state"] == "cancelled"
    assert do(world, book.id, "render").json()["state"] == "rendering"


def test_a_deleted_book_leaves_nothing(world: World) -> None:
    book = with_edition(world, rendered(world, read_book(world), states=(JobState.SUCCEEDED, JobState.RUNNING)))

    answer = world.client.delete(f"/v1/books/{book.id}")

    assert answer.status_code == 204
    assert (world.books.books, world.records.jobs, world.objects.objects) == ({}, {}, {})


def test_a_book_that_can_t_be_deleted_at_once_is_gone_all_the_same(world: World) -> None:
    book = rendered(world, read_book(world), states=SPOKEN)
    world.objects.outages = 100

    assert world.client.delete(f"/v1/books/{book.id}").status_code == 204

    world.objects.outages = 0
    assert world.client.get(f"/v1/books/{book.id}").json()["code"] == "book_not_found"
    assert world.client.get("/v1/books").json()["books"] == []
    left = world.books.books[book.id]
    assert (left.wanted, left.keep_seconds) == (Wanted.CANCEL, 0)  # the sweeper takes it from here


def test_an_edition_is_fetched_under_the_book_s_title(world: World) -> None:
    book = with_edition(world, rendered(world, read_book(world), states=SPOKEN))
    path = f"/v1/books/{book.id}/editions/m4b"

    whole, part = world.client.get(path), world.client.get(path, headers={"Range": "bytes=3-5"})
    [shown] = show(world, book.id)["editions"]

    assert (whole.content, part.status_code, part.content) == (b"an M4B, as it were", 206, b"M4B")
    assert whole.headers["Content-Type"] == "audio/mp4"
    assert "filename*=UTF-8''Ein%20Buch%20%E4%B8%80%E6%9C%AC%E4%B9%A6.m4b" in whole.headers["Content-Disposition"]
    assert world.client.head(path).headers["Content-Length"] == "18"
    assert (shown["state"], shown["audio"], shown["bytes"], shown["warnings"]) == ("succeeded", path, 18, 1)
    assert show(world, book.id)["state"] == "succeeded"


def test_an_edition_that_there_is_not_is_named_with_those_there_are(world: World) -> None:
    book = with_edition(world, rendered(world, read_book(world), states=SPOKEN))

    answer = world.client.get(f"/v1/books/{book.id}/editions/mp3")

    assert (answer.status_code, answer.json()["code"], answer.json()["allowed"]) == (404, "edition_not_found", ["m4b"])


def test_a_lost_edition_is_made_again(world: World) -> None:
    book = with_edition(world, rendered(world, read_book(world), states=SPOKEN))
    world.objects.objects = {key: data for key, data in world.objects.objects.items() if not key.endswith("m4b")}

    answer = world.client.get(f"/v1/books/{book.id}/editions/m4b")

    assert (answer.status_code, answer.json()["code"]) == (503, "audio_lost")
    assert world.records.jobs[book.editions[0].job].state is JobState.QUEUED


def test_a_chapter_s_audio_is_there_once_it_is_spoken(world: World) -> None:
    book = rendered(world, read_book(world), states=(JobState.SUCCEEDED, JobState.RUNNING))

    first, second = (world.client.get(f"/v1/books/{book.id}/chapters/{one}/audio") for one in "12")

    assert (first.content, first.headers["Content-Type"]) == (b"audio of 1", "audio/flac")
    assert (second.status_code, second.json()["code"]) == (409, "audio_not_ready")


def test_the_report_has_what_was_measured_and_spoken_again(world: World) -> None:
    book = with_edition(world, rendered(world, read_book(world), states=SPOKEN))

    report = world.client.get(f"/v1/books/{book.id}/report").json()

    assert [(one["id"], one["retakes"]) for one in report["chapters"]] == [(n, ["it was too long"]) for n in "12"]
    [edition] = report["editions"]
    assert (edition["format"], edition["warnings"]) == ("m4b", ["☺ was not spoken"])
    assert [one["measured"] for one in edition["chapters"]] == [{"lufs": -16.0}]


def test_what_happened_is_told_as_events(world: World) -> None:
    book = rendered(world, read_book(world), states=SPOKEN, wanted=Wanted.PAUSE)
    job = {"job_id": book.chapters[1].job, "kind": "chapter", "state": "running", "segments_done": 1}
    job |= {"segments_total": 4}
    world.children.told[book.id] = [
        ParentNews("1700000000000-0", {"book": book.id, "wanted": "render", "chapters": 2}),
        ParentNews("1700000000001-0", job),
    ]

    whole = world.client.get(f"/v1/books/{book.id}/events").text
    rest = world.client.get(f"/v1/books/{book.id}/events", headers={"Last-Event-ID": "1700000000000-0"}).text
    known = world.client.get(f"/v1/books/{book.id}/events?last_event_id=1700000000001-0")

    assert "event: book.paused\n" in whole
    assert "event: chapter.running\n" in whole
    assert '"chapter":"2"' in rest
    assert "book.paused" not in rest
    assert known.status_code == 204


def test_a_book_whose_time_is_over_is_gone(world: World) -> None:
    book = read_book(world)
    put(world, replace(book, touched_at=book.touched_at - book.keep_seconds - 1))

    assert world.client.get(f"/v1/books/{book.id}").status_code == 404
