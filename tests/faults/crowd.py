"""Clients that go on submitting whatever happens, and a show of hands of the workers."""

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.faults.clients import Client, Sent, long_text, short_text
from tests.faults.holds import Kind, Moment
from tests.faults.rig import Rig
from tests.waiting import wait_for

CLIENTS = 3
EVERY_SECONDS = 0.2  # each client


@contextmanager
def publishing(client: Client) -> Generator[list[Sent]]:
    """Within the block clients submit without end; after it, the list has every job that was accepted."""
    enough = threading.Event()
    accepted: list[Sent] = []

    def submit_on_and_on() -> list[Sent]:
        sent: list[Sent] = []
        while not enough.wait(EVERY_SECONDS):
            sent.append(client.submit(short_text("one of a crowd")))
        return sent

    with ThreadPoolExecutor(CLIENTS) as threads:
        submitting = [threads.submit(submit_on_and_on) for _ in range(CLIENTS)]
        try:
            yield accepted
        finally:
            enough.set()
    for each in submitting:
        accepted += each.result()
    assert len(accepted) >= CLIENTS


def everybody_works(rig: Rig, client: Client) -> list[Sent]:
    """Return jobs that are done only if both speakers and the assembler take messages."""
    hold = rig.holds.at(Moment.SPEAKING, Kind.SEGMENT)
    hold.arm()
    first = client.submit(short_text("the one speaker"))
    hold.wait()
    second = client.submit(short_text("the other speaker"))
    wait_for(lambda: succeeded(client, second))
    hold.open()
    long = client.submit(long_text("the assembler"))
    wait_for(lambda: succeeded(client, first) and succeeded(client, long))
    return [first, second, long]


def succeeded(client: Client, sent: Sent) -> bool:
    return client.get(f"/v1/jobs/{sent.job_id}").json()["state"] == "succeeded"
