"""A careful client: it submits with an idempotency key, again and again, until the job is accepted."""

import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from tests.api import FINISHED

SENTENCE = "The quick brown fox jumps over the lazy dog, and then it sleeps until noon. "
AGAIN_SECONDS = 0.2
REMOVED = "removed"  # what became of a job that had finished just before it was cancelled


@dataclass(frozen=True)
class Sent:
    """A job that was accepted."""

    job_id: str
    text: str
    long: bool
    accepted_at: float
    fields: dict[str, object] = field(default_factory=dict[str, object])


class Client:
    """Safe to use from several threads."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=5, trust_env=False)

    def submit(self, text: str, *, seconds: float = 90, key: str = "", **fields: object) -> Sent:
        """Return the job once it is accepted; AssertionError with the last answers if that takes too long.

        Args:
            key: its idempotency key; by default a new one.
        """
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        deadline = time.monotonic() + seconds
        answers: list[str] = []
        while time.monotonic() < deadline:
            try:
                answer = self._http.post("/v1/jobs", json={"text": text, **fields}, headers=headers)
            except httpx.TransportError as error:
                answers.append(repr(error))
            else:
                if answer.status_code == 202:
                    job = answer.json()
                    return Sent(job["id"], text, len(text) > len(SENTENCE) * 10, time.time(), fields)
                answers.append(answer.text)
                assert answer.status_code == 503, answer.text
            time.sleep(AGAIN_SECONDS)
        raise AssertionError(f"not accepted within {seconds:g} s: {answers[-3:]}")

    def cancel(self, job_id: str, *, seconds: float = 90) -> str:
        """Cancel a job unless it is finished; return the state that it has then, or REMOVED."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                answer = self._http.get(f"/v1/jobs/{job_id}")
                if answer.status_code == 200 and answer.json()["state"] not in FINISHED:
                    answer = self._http.delete(f"/v1/jobs/{job_id}")
                if answer.status_code in (204, 404):
                    return REMOVED
                if answer.status_code == 200 and answer.json()["state"] in FINISHED:
                    return answer.json()["state"]
            time.sleep(AGAIN_SECONDS)
        raise AssertionError(f"{job_id} could not be cancelled within {seconds:g} s")

    def submit_all(self, texts: Sequence[str]) -> list[Sent]:
        return [self.submit(text) for text in texts]

    def get(self, path: str, *, seconds: float = 10) -> httpx.Response:
        """Return the answer; one that says to come again is asked for again: a connection may just have been reset."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self._http.get(path)
            if answer.status_code != 503 or time.monotonic() > deadline:
                return answer
            time.sleep(AGAIN_SECONDS)

    def close(self) -> None:
        self._http.close()


def short_text(name: str) -> str:
    """A text of one segment that no other job has: equal texts would be spoken once."""
    return f"A short text for {name}, {uuid.uuid4().hex}."


def long_text(name: str, *, segments: int = 3) -> str:
    """A text of so many segments."""
    parts = [f"Part {number} of {name}, {uuid.uuid4().hex}. {SENTENCE * 6}" for number in range(segments)]
    return "\n\n".join(parts)
