"""Fair shares on the real stack: one tenant's many jobs, and another's one."""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import httpx
import pytest

from cli.stack.fleet import Fleet
from shared.jobs import Lane
from shared.queue import SweeperQueue
from tests.api import Json

pytestmark = pytest.mark.integration

WINDOW = 20
STEP_SECONDS = 0.1
MANY = 5000
MARGIN_SECONDS = 3.0  # of two cores that are shared with the rest of the tests


@dataclass(frozen=True)
class Shared:
    """A fleet behind a proxy that tells tenants apart, with one worker in the lane whose steps cost the same."""

    fleet: Fleet
    http: httpx.Client

    def submit(self, tenant: str, text: str) -> str:
        answer = self.http.post("/v1/jobs", json={"text": text}, headers={"X-Tenant": tenant})
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def flood(self, tenant: str, jobs: int) -> list[str]:
        texts = [f"Number {number}, {uuid.uuid4().hex}." for number in range(jobs)]
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(partial(self.submit, tenant), texts))

    def job(self, tenant: str, job_id: str, *, wait: float = 0) -> Json:
        answer = self.http.get(f"/v1/jobs/{job_id}", params={"wait": wait}, headers={"X-Tenant": tenant})
        return answer.json()

    def finished(self, tenant: str, job_id: str) -> Json:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            job = self.job(tenant, job_id, wait=20)
            if job["finished_at"]:
                assert job["state"] == "succeeded"
                return job
        pytest.fail(f"{job_id} has not ended")

    def messages(self) -> int:
        """Return how many are in the lane's queue and no worker has taken."""
        queue = SweeperQueue(self.fleet.servers.environment()["EMOTIVOICE_BROKER_URL"])
        return queue.ready_messages()[Lane.INTERACTIVE]


@pytest.fixture  # of each test: what one has left in the lane would take minutes
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    settings = {
        "EMOTIVOICE_ENGINE": "bench.engines:humming",
        "HUMMING_UTTERANCE_SECONDS": str(STEP_SECONDS),
        "EMOTIVOICE_TENANT_HEADER": "X-Tenant",
        "EMOTIVOICE_INTERACTIVE_WINDOW": str(WINDOW),
        "EMOTIVOICE_INTERACTIVE_WAIT_LIMIT_SECONDS": "0",  # else so much is not taken
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        with (
            Fleet(tmp_path_factory.mktemp("fair") / "data") as fleet,
            httpx.Client(base_url=fleet.url, timeout=40, trust_env=False) as http,
        ):
            yield Shared(fleet, http)


def waited(job: Json) -> float:
    started, created = (datetime.fromisoformat(job[name]) for name in ("started_at", "created_at"))
    return (started - created).total_seconds()


def test_a_tenants_one_job_waits_for_a_window_of_anothers_5000_and_no_longer(shared: Shared) -> None:
    many = shared.flood("a", MANY)
    waiting, place = shared.messages(), shared.job("a", many[-1])["queue"]["position"]

    one = shared.finished("b", shared.submit("b", "Just this one."))

    left = shared.job("a", many[-1])["queue"]["position"]
    assert waiting <= WINDOW
    assert place > MANY / 2  # it is honest about what is parked
    assert waited(one) <= (WINDOW + 2) * STEP_SECONDS + MARGIN_SECONDS
    assert left * STEP_SECONDS > waited(one) * 20  # it would have waited for these without shares


def test_a_tenant_alone_has_the_whole_lane(shared: Shared) -> None:
    began = time.monotonic()
    jobs = shared.flood("c", 100)

    ended = [shared.finished("c", job_id) for job_id in jobs]

    seconds = time.monotonic() - began
    assert {job["attempts"] for job in ended} == {1}
    assert seconds < 100 * STEP_SECONDS * 1.5 + MARGIN_SECONDS
