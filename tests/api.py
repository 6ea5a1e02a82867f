"""The HTTP API as a test uses it."""

import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.waiting import wait_for

Json = dict[str, Any]
FINISHED = ("succeeded", "failed", "cancelled", "expired")


class Api:
    """One gateway."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=40, trust_env=False)

    def submit(self, text: str, **fields: object) -> str:
        """Submit a job that must be accepted, and return its id."""
        answer = self.post(text, **fields)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def post(self, text: str, **fields: object) -> httpx.Response:
        return self.http.post("/v1/jobs", json={"text": text, **fields})

    def job(self, job_id: str) -> Json:
        return self.http.get(f"/v1/jobs/{job_id}").json()

    def finished(self, job_id: str, *, seconds: float = 30) -> Json:
        """Return the job once it has ended, however it did."""
        deadline = time.monotonic() + seconds
        job = self.job(job_id)
        while job["state"] not in FINISHED:
            left = deadline - time.monotonic()
            assert left > 0, f"not finished within {seconds:g} s: {job}"
            answer = self.http.get(f"/v1/jobs/{job_id}", params={"wait": min(left, 20)})
            job = answer.json() if answer.status_code == 200 else job
        return job

    def spoken(self, text: str, **fields: object) -> Json:
        """Submit a job and return it once it has succeeded."""
        job = self.finished(self.submit(text, **fields))
        assert job["state"] == "succeeded", job
        return job

    def running(self, job_id: str) -> Json:
        """Return the job once a worker has started it."""
        wait_for(lambda: self.job(job_id)["state"] == "running")
        return self.job(job_id)

    def audio(self, job_id: str) -> bytes:
        answer = self.http.get(f"/v1/jobs/{job_id}/audio", follow_redirects=True)
        assert answer.status_code == 200, answer.text
        return answer.content

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.http.close()


def metric(url: str, series: str) -> float:
    """Return one series of a /metrics page; 0 if it is not there yet."""
    lines = httpx.get(f"{url}/metrics", timeout=10, trust_env=False).text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == series), 0.0)


def children(pid: int) -> list[int]:
    """Return the process ids of the children of a process."""
    while True:
        found: list[int] = []
        try:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                found += [int(child) for child in (thread / "children").read_text().split()]
            return found
        except FileNotFoundError:  # a thread ended meanwhile; its children are another's now
            if not Path(f"/proc/{pid}").exists():
                raise
