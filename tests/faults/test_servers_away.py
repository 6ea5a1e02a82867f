"""Each server is away for a while, with jobs in hand and waiting: everybody carries on without a restart.

Of the kill matrix of the study of Celery (test_kill_matrix.py) these are rows 12 and 15, and a part of row 16.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from tests.faults.checks import Checks
from tests.faults.clients import Client, long_text, short_text
from tests.faults.crowd import everybody_works, publishing
from tests.faults.holds import Kind, Moment
from tests.faults.rig import SERVERS, Rig

pytestmark = pytest.mark.faults

SHORT_FORM = [("redis", 1), ("s3", 1)]  # the last two tests have RabbitMQ away, for about 4 s and for 10 s
LONG_FORM = [(server, seconds) for seconds in (1, 10, 60) for server in SERVERS]
STEADY_SECONDS = 1.0  # of publishing, before and after


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seconds" in metafunc.fixturenames:
        long = metafunc.config.getoption("--faults") == "long"
        metafunc.parametrize(("server", "seconds"), LONG_FORM if long else SHORT_FORM)


@contextmanager
def away(rig: Rig, *servers: str) -> Generator[None]:
    """Kill the servers; start them again at the end of the block, and wait for everybody to take work."""
    for server in servers:
        rig.server(server).kill()
    yield
    for server in servers:
        rig.launch_server(server)
    rig.wait_ready()


@contextmanager
def application_stopped(rig: Rig) -> Generator[None]:
    """RabbitMQ ends in order, telling its clients; its process goes on."""
    broker = rig.servers.broker
    assert broker
    broker.control("stop_app")
    yield
    broker.control("start_app")
    rig.wait_ready()


@pytest.mark.timeout(300)
def test_everybody_carries_on(server: str, seconds: int, rig: Rig, checks: Checks, client: Client) -> None:
    """C2 rows 12 and 15: a kill of RabbitMQ while jobs are submitted, of Redis while one is spoken."""
    before = checks.before()
    hold = rig.holds.at(Moment.SPEAKING, Kind.SEGMENT)
    hold.arm()
    sent = [client.submit(short_text("in hand"))]
    hold.wait()
    sent += client.submit_all([short_text("waiting"), long_text("waiting")])
    with publishing(client) as published:
        time.sleep(STEADY_SECONDS)
        with away(rig, server):
            hold.open()
            time.sleep(seconds)
        time.sleep(STEADY_SECONDS)
    checks.final(before)
    sent += [*published, *everybody_works(rig, client)]
    checks.after(sent, before, client=client)


def test_everybody_carries_on_when_all_servers_were_away(rig: Rig, checks: Checks, client: Client) -> None:
    """C2 rows 12 and 15: a machine is switched off; Redis was gone when a step was to be finished."""
    before = checks.before()
    hold = rig.holds.at(Moment.BEFORE_FINISH, Kind.SEGMENT)
    hold.arm()
    sent = [client.submit(short_text("in hand"))]
    hold.wait()
    sent += client.submit_all([short_text("waiting"), long_text("waiting")])
    with publishing(client) as published, away(rig, *SERVERS):
        hold.open()
        time.sleep(10)
    checks.final(before)
    sent += [*published, *everybody_works(rig, client)]
    checks.after(sent, before, client=client)


def test_what_was_accepted_is_done_when_rabbitmq_ends_in_order(rig: Rig, checks: Checks, client: Client) -> None:
    """C2 row 12: RabbitMQ is stopped by its own command while jobs are submitted; in the test above it is killed."""
    before = checks.before()
    with publishing(client) as published:
        time.sleep(STEADY_SECONDS)
        with application_stopped(rig):
            pass
        time.sleep(STEADY_SECONDS)
    checks.final(before)
    checks.after([*published, *everybody_works(rig, client)], before, client=client)
