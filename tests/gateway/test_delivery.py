"""What is downloaded is what the record says; what was lost is made again."""

from collections.abc import Iterator
from typing import Any

import pytest

from shared.jobs import JobState, Lane
from tests.gateway.conftest import World

CHUNK = 4
WHOLE = b"0123456789"


@pytest.fixture
def job_id(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """A job that has succeeded, with audio that the object store sends in several pieces."""
    read = world.objects.read

    def in_chunks(key: str, *, offset: int = 0, length: int = 0) -> Iterator[bytes]:
        data = b"".join(read(key, offset=offset, length=length))
        yield from (data[n : n + CHUNK] for n in range(0, len(data), CHUNK))

    monkeypatch.setattr(world.objects, "read", in_chunks)
    made = world.submit()
    world.succeed(made, WHOLE)
    world.queue.messages.clear()
    return made


def audio(world: World, job_id: str, method: str = "GET", **headers: str) -> Any:
    return world.client.request(method, f"/v1/jobs/{job_id}/audio", headers=headers, follow_redirects=False)


def damage(world: World, data: bytes | None) -> None:
    """Have the object hold something else than what was stored."""
    world.objects.objects = {} if data is None else {"audio/address.wav": data}


def assert_made_again(world: World, job_id: str, answer: Any) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "audio_lost")
    assert int(answer.headers["Retry-After"]) > 0
    assert_enqueued(world, job_id)


def assert_enqueued(world: World, job_id: str) -> None:
    assert world.records.jobs[job_id].state is JobState.QUEUED
    assert world.queue.messages == [(job_id, "0", Lane.INTERACTIVE)]


def test_audio_that_is_whole_is_sent_whole(world: World, job_id: str) -> None:
    assert audio(world, job_id).content == WHOLE


def test_audio_that_is_gone_is_made_again(world: World, job_id: str) -> None:
    damage(world, None)

    assert_made_again(world, job_id, audio(world, job_id))


@pytest.mark.parametrize("headers", [{"Range": "bytes=2-3"}, {"Range": "bytes=-2"}])
@pytest.mark.parametrize("left", [None, WHOLE[:-1]])
def test_a_range_of_audio_that_is_not_whole_is_not_sent(
    world: World, job_id: str, left: bytes | None, headers: dict[str, str]
) -> None:
    damage(world, left)

    assert_made_again(world, job_id, audio(world, job_id, **headers))


@pytest.mark.parametrize("left", [WHOLE[:-1], WHOLE[:-1] + b"8"])
def test_damaged_audio_never_arrives_as_if_it_were_whole(world: World, job_id: str, left: bytes) -> None:
    damage(world, left)

    answer = audio(world, job_id)

    assert len(answer.content) < int(answer.headers["Content-Length"])  # the connection broke off
    assert_enqueued(world, job_id)


def test_damaged_audio_of_one_piece_is_told(world: World, job_id: str) -> None:
    world.succeed(job_id, b"012")
    damage(world, b"013")

    assert_made_again(world, job_id, audio(world, job_id))


def test_a_link_is_not_given_to_what_is_gone(world: World, job_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.settings, "audio_delivery", "redirect")
    assert audio(world, job_id).status_code == 307
    damage(world, None)

    assert_made_again(world, job_id, audio(world, job_id))


def test_a_head_of_what_is_gone_says_so(world: World, job_id: str) -> None:
    assert audio(world, job_id, "HEAD").status_code == 200
    damage(world, None)

    assert audio(world, job_id, "HEAD").status_code == 503


def test_audio_whose_record_was_forgotten_is_made_again(world: World, job_id: str) -> None:
    world.records.stored.clear()

    assert_made_again(world, job_id, audio(world, job_id))


def test_it_is_made_again_once_for_all_who_ask(world: World, job_id: str) -> None:
    damage(world, None)
    audio(world, job_id)

    again = audio(world, job_id)

    assert (again.status_code, again.json()["code"]) == (409, "audio_not_ready")
    assert_enqueued(world, job_id)


def test_without_a_broker_it_is_left_to_the_sweeper(world: World, job_id: str) -> None:
    damage(world, None)
    world.queue.refuses = True

    assert audio(world, job_id).json()["code"] == "audio_lost"
    assert world.records.jobs[job_id].state is JobState.QUEUED


def test_the_audio_of_an_expired_job_is_gone(world: World, job_id: str) -> None:
    world.records.jobs[job_id] = world.records.jobs[job_id].expired(now=1.0)
    world.records.stored.clear()

    answer = audio(world, job_id)

    assert (answer.status_code, answer.json()["code"]) == (410, "audio_expired")
    status = world.client.get(f"/v1/jobs/{job_id}").json()
    assert (status["state"], status["result"]) == ("expired", None)
    assert status["finished_at"] < status["expires_at"]


def test_a_job_is_removed_while_the_object_store_is_away(world: World, job_id: str) -> None:
    world.objects.outages = 1

    assert world.client.delete(f"/v1/jobs/{job_id}").status_code == 204

    assert world.client.get(f"/v1/jobs/{job_id}").status_code == 404
    assert world.records.being_deleted == {"address"}  # for the sweeper; nobody stores it until it is deleted
