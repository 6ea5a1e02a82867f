"""Usage is exact, whatever happens to messages and workers."""

import asyncio
import os
import signal
import time
import uuid
from functools import partial
from typing import Any

import pytest

from shared import jobs as lifecycle
from shared.async_job_store import AsyncRedisJobStore
from shared.job_store import RedisJobStore
from shared.jobs import Audio, Job, Lane, SpeechRequest
from shared.ports import Holder
from shared.queue import SweeperQueue
from shared.settings import SharedSettings
from shared.usage import Counted, day_of
from shared.usage_store import RedisUsage
from tests.api import children
from tests.integration.conftest import RunningFleet
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

REQUEST = SpeechRequest("hello", "hum", "neutral", 1.0, 1.0, "wav", 16_000, 0)


def total(fleet: RunningFleet) -> dict[str, float]:
    return fleet.api.http.get("/v1/usage").json()["total"]


def added(fleet: RunningFleet, before: dict[str, float]) -> dict[str, float]:
    return {name: round(value - before[name], 6) for name, value in total(fleet).items()}


def test_each_segment_is_counted_once_though_messages_come_thrice_and_children_are_killed(
    fleet: RunningFleet,
) -> None:
    before = total(fleet)
    queue = SweeperQueue(fleet.servers.environment()["EMOTIVOICE_BROKER_URL"])
    worker = fleet.fleet.workers[Lane.INTERACTIVE]
    fleet.gate.close()
    ids = [fleet.api.submit(f"Wait, number {n}, {uuid.uuid4().hex}.") for n in range(8)]
    for job_id in ids * 2:
        queue.enqueue(job_id, "0", lane=Lane.INTERACTIVE)
    fleet.api.running(ids[0])
    for child in children(worker.pid):
        os.kill(child, signal.SIGKILL)
    fleet.gate.open()

    jobs = [fleet.api.finished(job_id, seconds=60) for job_id in ids]
    wait_for(lambda: queue.ready_messages()[Lane.INTERACTIVE] == 0)

    assert {job["state"] for job in jobs} == {"succeeded"}
    assert added(fleet, before) == {
        "segments": 8,
        "characters": sum(job["usage"]["characters"] for job in jobs),
        "audio_seconds": round(sum(job["usage"]["audio_seconds"] for job in jobs), 6),
        "engine_seconds": pytest.approx(sum(job["usage"]["engine_seconds"] for job in jobs), abs=1e-5),
        "bytes": sum(job["result"]["bytes"] for job in jobs),
    }


def test_a_long_text_is_counted_segment_by_segment(fleet: RunningFleet) -> None:
    before = total(fleet)
    text = " ".join(f"This is sentence {n} of {uuid.uuid4().hex[:8]}, a text to be planned." for n in range(40))

    job = fleet.api.spoken(text)

    segments = job["progress"]["segments_total"]
    assert segments > 1
    counted = added(fleet, before)
    assert counted["segments"] == segments
    assert counted["characters"] == len(text) - (segments - 1)  # without the spaces between two segments


class World:
    """Records by themselves, as workers and gateway change them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.worker = RedisJobStore(url)
        self.job = Job(uuid.uuid4().hex, Lane.BULK, 5, time.time(), tenant=f"t{uuid.uuid4().hex[:12]}")
        self.audio = Audio(uuid.uuid4().hex, f"audio/{uuid.uuid4().hex}.wav", 10, 1.5, 16_000, "wav", "0" * 64)

    def ask(self, name: str, *arguments: Any) -> Any:
        async def asked() -> Any:
            store = AsyncRedisJobStore(self.url)
            try:
                return await getattr(store, name)(*arguments)
            finally:
                await store.close()

        return asyncio.run(asked())

    def speak(self, token: str, *, redelivered: bool = False) -> None:
        start = partial(lifecycle.start, token=token, now=time.time(), lease_seconds=30, redelivered=redelivered)
        self.worker.change(self.job.id, "0", start)
        finish = partial(lifecycle.finish_segment, token=token, now=time.time(), audio=self.audio, engine_seconds=0.25)
        holder = Holder(f"{self.job.id}:0", token)
        self.worker.find_audio(self.audio.address, key=self.audio.key, holder=holder, seconds=30)
        counted = partial(finish, engine="humming", characters=5)
        self.worker.change(self.job.id, "0", counted, audio=self.audio)
        self.worker.change(self.job.id, "0", counted, audio=self.audio)  # whose reply was lost

    def counted(self) -> list[Counted]:
        async def asked() -> list[Counted]:
            usage = RedisUsage(self.url)
            try:
                return await usage.counted([day_of(time.time())], tenant="")
            finally:
                await usage.close()

        return [one for one in asyncio.run(asked()) if one.tenant == self.job.tenant]


def test_what_is_spoken_again_because_its_audio_was_lost_is_not_counted_again(settings: SharedSettings) -> None:
    world = World(settings.redis_url.get_secret_value())
    world.ask("create", world.job, REQUEST)
    world.speak("t1")
    once = world.counted()
    world.worker.forget_audio(world.audio)
    reopened = world.ask("reopen", world.job.id)

    world.speak("t2")

    assert reopened.steps == ["0"]
    assert world.ask("view", world.job.id).job.state == "succeeded"
    assert [one.amounts["audio_us"] for one in once] == [1_500_000]
    assert world.counted() == once
