"""A gateway on in-memory ports."""

import hashlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from fastapi.testclient import TestClient

from gateway.auth.callers import Callers
from gateway.dependencies import Services
from gateway.known import Known
from gateway.main import application
from gateway.quotas import Quotas
from gateway.settings import GatewaySettings
from shared import jobs as lifecycle
from shared.jobs import Audio, Job, JobState
from shared.phonemes import pack
from tests.fake_batches import InMemoryAsyncBatches
from tests.fake_gateway_books import InMemoryAsyncBooks, InMemoryAsyncChildren
from tests.fake_voices import InMemoryAsyncVoices
from tests.fakes import (
    InMemoryApiKeys,
    InMemoryAsyncJobStore,
    InMemoryAsyncQueue,
    InMemoryJobStore,
    InMemoryLiveSpeech,
    InMemoryObjectStore,
    InMemoryQueue,
    InMemoryTenants,
    InMemoryUsage,
    InMemoryWebhooks,
)


@dataclass
class World:
    """The gateway and all that it talks to."""

    client: TestClient
    records: InMemoryJobStore
    jobs: InMemoryAsyncJobStore
    queue: InMemoryQueue
    objects: InMemoryObjectStore
    settings: GatewaySettings
    keys: InMemoryApiKeys
    usage: InMemoryUsage
    tenants: InMemoryTenants
    hooks: InMemoryWebhooks
    live: InMemoryLiveSpeech
    books: InMemoryAsyncBooks
    children: InMemoryAsyncChildren
    batches: InMemoryAsyncBatches
    voices: InMemoryAsyncVoices

    def submit(self, text: str = "Hello", **fields: object) -> str:
        answer = self.client.post("/v1/jobs", json={"text": text, **fields})
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def succeed(self, job_id: str, data: bytes = b"0123456789") -> Job:
        """End the job as a worker would."""
        digest = hashlib.sha256(data).hexdigest()
        audio = Audio("address", "audio/address.wav", len(data), 1.5, 16_000, "wav", digest, (("Hello", 0.1, 0.4),))
        audio = replace(audio, phonemes=pack([("HH", 0.1, 0.2), ("AH", 0.2, 0.4)]), warnings=("☺ was not spoken",))
        self.objects.objects[audio.key] = data
        self.records.stored[audio.address] = audio
        self.records.holders[audio.address] = {job_id}
        self.records.change(
            job_id,
            "0",
            lambda job, step: _finished(job, step, audio),
        )
        return self.records.jobs[job_id]


def _finished(job: Job, step: lifecycle.Step, audio: Audio) -> lifecycle.Change:
    job = replace(job, started_at=job.created_at, segments_done=1)
    job = replace(
        job,
        state=JobState.SUCCEEDED,
        finished_at=job.created_at + 2,
        audio_address=audio.address,
        audio_seconds=audio.seconds,
        engine_seconds=0.7,
    )
    done = replace(step, state=lifecycle.StepState.DONE, audio_address=audio.address)
    return lifecycle.Change(lifecycle.Outcome.APPLIED, job, done)


@pytest.fixture
def world() -> Iterator[World]:
    with world_with(GatewaySettings(max_text_characters=1000, max_body_bytes=8192)) as world:
        yield world


@contextmanager
def world_with(settings: GatewaySettings) -> Generator[World]:
    records, queue, objects = InMemoryJobStore(), InMemoryQueue(), InMemoryObjectStore()
    jobs, keys, usage = InMemoryAsyncJobStore(records), InMemoryApiKeys(), InMemoryUsage()
    tenants, hooks, live = InMemoryTenants(), InMemoryWebhooks(), InMemoryLiveSpeech(records)
    books, children = InMemoryAsyncBooks(), InMemoryAsyncChildren(records)
    batches, voices = InMemoryAsyncBatches(records), InMemoryAsyncVoices()
    app = application(settings)
    app.state.services = Services(
        settings,
        jobs,
        InMemoryAsyncQueue(queue),
        objects,
        Known(jobs),
        Callers(settings, keys),
        usage,
        Quotas(settings, tenants),
        hooks,
        live,
        books,
        children,
        batches,
        voices,
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield World(
            client,
            records,
            jobs,
            queue,
            objects,
            settings,
            keys,
            usage,
            tenants,
            hooks,
            live,
            books,
            children,
            batches,
            voices,
        )
