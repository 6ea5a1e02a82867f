"""The API for books before real servers: sent, uploaded, changed, heard of, and deleted without a trace."""

import hashlib
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from shared.children import child_id
from shared.jobs import Lane
from tests.api import Json
from tests.integration.conftest import RunningFleet
from tests.waiting import wait_for

pytestmark = pytest.mark.integration


def text() -> bytes:
    """Return a book of two chapters that nobody has sent yet."""
    return "\n\n".join(f"# Chapter {n}\n\nIt goes on with {uuid.uuid4().hex[:8]}." for n in (1, 2)).encode()


def send(fleet: RunningFleet, data: bytes, **headers: str) -> httpx.Response:
    return fleet.api.http.post("/v1/books", files={"file": ("book.md", data)}, headers=headers)


def ready(fleet: RunningFleet, data: bytes) -> Json:
    answer = send(fleet, data)
    assert answer.status_code == 202, answer.text
    book = at_rest(fleet, answer.json()["id"])
    assert book["state"] == "ready", book
    return book


def at_rest(fleet: RunningFleet, book_id: str) -> Json:
    def look() -> Json | None:
        book = fleet.api.http.get(f"/v1/books/{book_id}", params={"wait": 5}).json()
        return None if book["state"] in ("reading", "rendering", "assembling") else book

    return wait_for(look, seconds=60) or {}


def render(fleet: RunningFleet, book_id: str, *formats: str) -> Json:
    answer = fleet.api.http.post(f"/v1/books/{book_id}/render", json={"formats": list(formats)})
    assert answer.status_code == 202, answer.text
    return at_rest(fleet, book_id)


def objects(fleet: RunningFleet) -> set[str]:
    """Return the names of the files in which the S3 server keeps objects of books and audio."""
    folder = fleet.servers.folder.path / "s3"
    return {str(path) for path in folder.rglob("*") if path.is_file() and {"books", "audio"} & {*path.parts}}


def test_a_book_that_is_sent_twice_at_once_with_one_key_is_one_book(fleet: RunningFleet) -> None:
    data, key = text(), uuid.uuid4().hex

    with ThreadPoolExecutor(4) as threads:
        sent = [threads.submit(send, fleet, data, **{"Idempotency-Key": key}) for _ in range(4)]
        answers = [one.result() for one in sent]

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert send(fleet, text(), **{"Idempotency-Key": key}).json()["code"] == "idempotency_conflict"
    digest = hashlib.sha256(data).hexdigest()
    listed = fleet.api.http.get("/v1/books?limit=20").json()["books"]
    assert len([one for one in listed if one["source"]["sha256"] == digest]) == 1


def test_a_file_that_was_put_at_a_link_becomes_a_book(fleet: RunningFleet) -> None:
    upload = fleet.api.http.post("/v1/uploads").json()
    data = text()
    assert httpx.put(upload["url"], content=data, trust_env=False).status_code == 200

    answer = fleet.api.http.post("/v1/books", json={"source_key": upload["key"], "file_name": "book.md"})

    assert answer.status_code == 202, answer.text
    assert answer.json()["source"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert [one["title"] for one in at_rest(fleet, answer.json()["id"])["chapters"]] == ["Chapter 1", "Chapter 2"]


def test_a_book_whose_reading_has_ended_badly_is_read_again(fleet: RunningFleet) -> None:
    with fleet.without_worker(Lane.ASSEMBLY):
        book_id = send(fleet, text()).json()["id"]
        assert fleet.api.http.delete(f"/v1/jobs/{child_id(book_id, 'reading')}").status_code == 200
        assert at_rest(fleet, book_id)["state"] == "failed"
        with ThreadPoolExecutor(4) as threads:
            answers = [threads.submit(fleet.api.http.post, f"/v1/books/{book_id}/retry") for _ in range(4)]
    assert {answer.result().status_code for answer in answers} <= {202, 409}  # 409: it is being read already

    assert at_rest(fleet, book_id)["state"] == "ready"
    assert render(fleet, book_id, "srt")["state"] == "succeeded"


def test_a_retry_has_to_be_within_the_quotas(fleet: RunningFleet) -> None:
    book_id = ready(fleet, b"Please refuse this.")["id"]
    assert render(fleet, book_id, "srt")["state"] == "failed"

    with fleet.limits(characters_per_day=1):
        refused = fleet.api.http.post(f"/v1/books/{book_id}/retry")
        after = fleet.api.http.get(f"/v1/books/{book_id}").json()

    assert (refused.status_code, refused.json()["quota"]) == (429, "characters_per_day")
    assert after["state"] == "failed"
    assert fleet.api.http.post(f"/v1/books/{book_id}/retry").status_code == 202


def test_an_edit_has_its_own_chapter_spoken_again_and_no_other(fleet: RunningFleet) -> None:
    book_id = ready(fleet, text())["id"]
    first = render(fleet, book_id, "m4b")
    before = fleet.api.http.get(first["editions"][0]["audio"]).content
    chapter = fleet.api.http.get(f"/v1/books/{book_id}/chapters/2/text").text

    changes = {"chapters": [{"id": "2", "text": chapter + "\n\nAnd on."}], "order": ["2", "1"]}
    changed = fleet.api.http.patch(f"/v1/books/{book_id}", json=changes).json()
    second = render(fleet, book_id, "m4b")

    assert [one["state"] for one in changed["chapters"]] == [None, "succeeded"]
    assert (first["state"], second["state"]) == ("succeeded", "succeeded")
    assert [one["title"] for one in second["chapters"]] == ["Chapter 2", "Chapter 1"]
    assert fleet.api.http.get(second["editions"][0]["audio"]).content != before
    assert (
        fleet.api.http.get(second["editions"][0]["url"]).content
        == fleet.api.http.get(second["editions"][0]["audio"]).content
    )


def test_a_paused_book_is_gone_on_with(fleet: RunningFleet) -> None:
    book_id = ready(fleet, text())["id"]
    fleet.gate.close()
    fleet.api.http.patch(f"/v1/books/{book_id}", json={"chapters": [{"id": "2", "text": "Please wait here."}]})
    fleet.api.http.post(f"/v1/books/{book_id}/render", json={})
    wait_for(lambda: fleet.api.http.get(f"/v1/books/{book_id}").json()["progress"]["segments_done"])

    paused = fleet.api.http.post(f"/v1/books/{book_id}/pause").json()
    fleet.gate.open()
    states = {one["state"] for one in fleet.api.http.get(f"/v1/books/{book_id}").json()["chapters"]}
    resumed = fleet.api.http.post(f"/v1/books/{book_id}/resume")

    assert paused["state"] == "paused"
    assert not states & {"running", "queued"}
    assert resumed.status_code == 202
    assert at_rest(fleet, book_id)["state"] == "succeeded"


def test_events_tell_of_reading_chapters_and_editions(fleet: RunningFleet) -> None:
    book_id = ready(fleet, text())["id"]
    fleet.api.http.post(f"/v1/books/{book_id}/render", json={"formats": ["vtt"]})

    heard = fleet.api.http.get(f"/v1/books/{book_id}/events").text
    names = [line.removeprefix("event: ") for line in heard.splitlines() if line.startswith("event: ")]
    last = [line.removeprefix("id: ") for line in heard.splitlines() if line.startswith("id: ")][-1]
    again = fleet.api.http.get(f"/v1/books/{book_id}/events", headers={"Last-Event-ID": last})

    assert names.count("chapter.succeeded") == 2
    assert {"reading.succeeded", "render.succeeded", "edition.succeeded"} <= {*names}
    assert '"format":"vtt"' in heard
    assert again.status_code == 204


def test_a_deleted_book_leaves_nothing_behind(fleet: RunningFleet) -> None:
    before = objects(fleet)
    book_id = ready(fleet, text())["id"]
    book = render(fleet, book_id, "m4b", "epub")
    assert objects(fleet) > before

    assert fleet.api.http.delete(f"/v1/books/{book_id}").status_code == 204

    assert objects(fleet) == before
    assert fleet.api.http.get(f"/v1/books/{book_id}").json()["code"] == "book_not_found"
    assert httpx.get(book["editions"][0]["url"], trust_env=False).status_code == 404


def test_a_file_that_comes_in_pieces_is_held_in_bounded_memory(fleet: RunningFleet, tmp_path: Path) -> None:
    pid = fleet.fleet.ours[0].pid
    file = tmp_path / "book.txt"
    file.write_bytes(b"It goes on and on. " * 4_000_000)  # 76 MB
    before = peak_mib(pid)

    with file.open("rb") as source:
        answer = fleet.api.http.post("/v1/books", files={"file": ("book.txt", source)}, timeout=120)
    fleet.api.http.delete(f"/v1/books/{answer.json()['id']}")

    assert answer.status_code == 202, answer.text
    assert peak_mib(pid) - before < 40


def peak_mib(pid: int | None) -> float:
    """Return the most memory that the process had so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
