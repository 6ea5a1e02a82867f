"""Jobs of the benches, over HTTP."""

from datetime import datetime
from typing import Any

import httpx


def submit(client: httpx.Client, *, text: str) -> str:
    """Submit a job; return its id."""
    answer = client.post("/v1/jobs", json={"text": text})
    answer.raise_for_status()
    return answer.json()["id"]


def finished(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """Wait for a job to succeed; the bench ends where it fails."""
    while True:
        job = client.get(f"/v1/jobs/{job_id}", params={"wait": 30}).json()
        if job["state"] == "succeeded":
            return job
        if job["error"]:
            raise SystemExit(f"a job of the bench failed: {job['error']}")


def timestamp(time_text: str) -> float:
    """Return a time of the API as Unix seconds."""
    return datetime.fromisoformat(time_text).timestamp()
