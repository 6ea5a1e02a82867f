"""Library voices on real workers: each clip embedded and imitated once; nothing is spoken with a voice that went."""

import json
import time
from collections.abc import Iterable
from contextlib import ExitStack
from threading import Thread

import pytest

from shared.jobs import Lane
from shared.object_store import S3ObjectStore
from shared.settings import SharedSettings
from shared.voice_store import RedisVoices
from tests.api import Json, metric
from tests.integration.conftest import RunningFleet
from tests.waiting import wait_for
from tests.worker.voiced import clip_file

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

READY_SECONDS = 90.0  # of a clip that is checked while the machine has other work
IMITATED = 'emotivoice_imitation_cache_total{result="computed"}'
EMBEDDED = 'emotivoice_embedding_cache_total{result="computed"}'


def begun_voice(fleet: RunningFleet, text: str) -> str:
    """Send a clip in which somebody says the text; return the id of the voice."""
    options = json.dumps({"name": "A voice", "language": "en", "consent": True})
    files = {"file": ("clip.wav", clip_file(text=text), "audio/wav")}
    answer = fleet.api.http.post("/v1/voices", files=files, data={"options": options})
    assert answer.status_code in (201, 202), answer.text
    return answer.json()["id"]


def voice(fleet: RunningFleet, voice_id: str) -> Json:
    return fleet.api.http.get(f"/v1/voices/{voice_id}").json()


def checked(fleet: RunningFleet, voice_id: str) -> Json:
    """Return the voice once its clip is checked."""
    wait_for(lambda: voice(fleet, voice_id)["state"] != "checking", seconds=READY_SECONDS, every=0.2)
    return voice(fleet, voice_id)


def made_voice(fleet: RunningFleet, text: str) -> str:
    voice_id = begun_voice(fleet, text)
    assert checked(fleet, voice_id)["state"] == "ready"
    return voice_id


def text_of(words: str) -> str:
    return f"{words} This is long enough to be heard as the voice of somebody, and to be told from others."


def counted(urls: Iterable[str], series: str) -> float:
    return sum(metric(url, series) for url in urls)


def test_a_clip_is_imitated_once_however_many_workers_need_it(fleet: RunningFleet) -> None:
    guests = [fleet.new_worker(Lane.INTERACTIVE) for _ in range(2)]
    for guest in guests:
        guest.process.start()
    urls = [fleet.worker_url(Lane.INTERACTIVE), *(guest.url for guest in guests)]
    before = counted(urls, IMITATED)
    voice_id = begun_voice(fleet, text_of("Ten jobs want to speak like me at once."))
    checked(fleet, voice_id)

    jobs = [fleet.api.submit(f"Sentence {number}.", voice=voice_id) for number in range(10)]

    ended = [fleet.api.finished(job, seconds=60) for job in jobs]
    assert {job["state"] for job in ended} == {"succeeded"}
    assert {job["attempts"] for job in ended} == {1}
    assert all("it only hums" in job["result"]["warnings"] for job in ended)
    assert counted(urls, IMITATED) == before + 1


def test_one_clip_of_two_voices_is_embedded_once(fleet: RunningFleet) -> None:
    urls = [fleet.worker_url(lane) for lane in (Lane.ASSEMBLY, Lane.INTERACTIVE)]
    before = counted(urls, EMBEDDED)
    text = text_of("Two tenants have found the same recording.")

    both = [begun_voice(fleet, text) for _ in range(2)]

    assert [checked(fleet, one)["state"] for one in both] == ["ready", "ready"]
    assert counted(urls, EMBEDDED) == before + 1


def test_a_job_whose_voice_is_deleted_while_it_waits_fails_and_leaves_nothing(
    fleet: RunningFleet, settings: SharedSettings
) -> None:
    voice_id = made_voice(fleet, text_of("I shall be gone before you have spoken."))
    fleet.gate.close()
    job = fleet.api.submit("Wait until the voice is gone.", voice=voice_id)
    fleet.api.running(job)

    assert fleet.api.http.delete(f"/v1/voices/{voice_id}").status_code in (202, 204)
    fleet.gate.open()

    ended = fleet.api.finished(job)
    assert (ended["state"], ended["error"]["code"]) == ("failed", "voice_deleted")
    store = S3ObjectStore(fleet_settings(fleet, settings))
    wait_for(lambda: not list(store.keys(f"voices/{voice_id}/")))


def fleet_settings(fleet: RunningFleet, settings: SharedSettings) -> SharedSettings:
    """Return how to reach the servers of the fleet."""
    found = {name.removeprefix("EMOTIVOICE_").lower(): value for name, value in fleet.servers.environment().items()}
    known = {name: value for name, value in found.items() if name in SharedSettings.model_fields}
    return SharedSettings.model_validate({**settings.model_dump(), **known})


def test_a_clip_in_our_own_network_is_not_fetched(fleet: RunningFleet) -> None:
    url = f"{fleet.servers.environment()['EMOTIVOICE_S3_ENDPOINT'].replace('127.0.0.1', 'localhost')}/emotivoice/x"
    answer = fleet.api.http.post("/v1/voices", json={"source_url": url, "name": "x", "consent": True})
    assert answer.status_code in (201, 202), answer.text

    found = checked(fleet, answer.json()["id"])

    assert found["state"] == "failed"
    assert "no public address" in found["problems"][0]


def test_a_name_is_held_by_one_at_a_time(settings: SharedSettings) -> None:
    url = settings.redis_url.get_secret_value()
    one, other = RedisVoices(url), RedisVoices(url)

    with one.held("a clip", 30) as ours:
        with other.held("a clip", 30) as theirs, other.held("another", 30) as free:
            assert (bool(ours), theirs, bool(free)) == (True, None, True)
        with other.held("a clip", 30) as still:
            assert still is None
    with other.held("a clip", 30) as again:
        assert again


def test_a_name_is_held_for_as_long_as_its_holder_holds_on(settings: SharedSettings) -> None:
    url = settings.redis_url.get_secret_value()
    one, other = RedisVoices(url), RedisVoices(url)

    with one.held("held on", 1.0) as hold_on:
        assert hold_on
        for _ in range(6):
            time.sleep(0.25)
            Thread(target=hold_on).start()  # as a lease's own thread does
        with other.held("held on", 30) as theirs:
            assert theirs is None
    hold_on()  # once more, too late
    with other.held("held on", 30) as theirs:
        assert theirs


def test_who_takes_too_long_holds_it_no_more_and_takes_it_from_nobody(settings: SharedSettings) -> None:
    url = settings.redis_url.get_secret_value()
    one, other = RedisVoices(url), RedisVoices(url)

    with ExitStack() as others:
        with one.held("a long one", 0.05):
            time.sleep(0.1)
            assert others.enter_context(other.held("a long one", 30))
        with one.held("a long one", 30) as again:
            assert again is None
