"""The Wyoming server as Home Assistant uses it: the protocol's own client, a real gateway and workers behind it."""

import asyncio
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import LOOPBACK, free_ports
from tests.integration.conftest import RunningFleet
from tests.waiting import wait_for

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of audioop, which the package imports
    from wyoming.audio import AudioChunk
    from wyoming.client import AsyncTcpClient
    from wyoming.error import Error
    from wyoming.event import Event
    from wyoming.info import Describe, Info
    from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

pytestmark = pytest.mark.integration

LAST = {"audio-stop", "synthesize-stopped", "error", "info"}
RATE = 24_000


@pytest.fixture(scope="module")
def port(shared_fleet: RunningFleet) -> Iterator[int]:
    (port,) = free_ports(1)
    server = subprocess.Popen(
        [Path(sys.executable).with_name("emotivoice"), "wyoming", "--uri", f"tcp://{LOOPBACK}:{port}"],
        env={**os.environ, "EMOTIVOICE_URL": shared_fleet.fleet.url},
        cwd=CODE_FOLDER,
    )
    try:
        wait_for(lambda: asyncio.run(listening(port)))
        yield port
    finally:
        server.terminate()
        assert server.wait(10) == 0


async def listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


def told(port: int, *sent: Event, last: set[str] = LAST) -> list[Event]:
    """Send the events; return what comes back, up to the first that ends it."""

    async def talk() -> list[Event]:
        events: list[Event] = []
        async with AsyncTcpClient(LOOPBACK, port) as client:
            for event in sent:
                await client.write_event(event)
            while not events or events[-1].type not in last:
                event = await asyncio.wait_for(client.read_event(), 30)
                assert event is not None, "the connection was closed"
                events.append(event)
        return events

    return asyncio.run(talk())


def seconds(events: list[Event]) -> float:
    chunks = [AudioChunk.from_event(event) for event in events if AudioChunk.is_type(event.type)]
    assert {(chunk.rate, chunk.width, chunk.channels) for chunk in chunks} == {(RATE, 2, 1)}
    return sum(len(chunk.audio) for chunk in chunks) / 2 / RATE


def test_it_tells_which_voices_there_are(port: int, fleet: RunningFleet) -> None:
    (event,) = told(port, Describe().event())

    (program,) = Info.from_event(event).tts
    offered = fleet.api.http.get("/v1/voices").json()["voices"]
    assert [voice.name for voice in program.voices] == [voice["id"] for voice in offered]
    assert program.supports_synthesize_streaming


def test_a_text_becomes_sound(port: int) -> None:
    events = told(port, Synthesize("Hello from the kitchen.").event())

    assert (events[0].type, events[-1].type) == ("audio-start", "audio-stop")
    assert seconds(events) > 0.3


def test_a_text_that_comes_in_pieces_is_spoken_once_sentence_by_sentence(port: int) -> None:
    """As Home Assistant sends it: the whole text comes too, for servers that take no pieces."""
    pieces = ["The first sen", "tence. The sec", "ond is 3", ".5 times as long! And no", " end"]
    sent = [
        SynthesizeStart(voice=SynthesizeVoice(language="en")).event(),
        *(SynthesizeChunk(piece).event() for piece in pieces),
        Synthesize("".join(pieces)).event(),
        SynthesizeStop().event(),
    ]

    events = told(port, *sent, last={"synthesize-stopped", "error"})

    assert [event.type for event in events if event.type != "audio-chunk"] == [
        "audio-start",
        "audio-stop",
        "synthesize-stopped",
    ]
    whole = seconds(told(port, Synthesize("".join(pieces)).event()))
    assert 0.7 * whole < seconds(events) < 1.5 * whole


def test_what_the_gateway_refuses_is_told_and_the_connection_stays(port: int) -> None:
    (refused,) = told(port, Synthesize("Hello", voice=SynthesizeVoice(name="nobody")).event())

    assert "nobody" in Error.from_event(refused).text
    assert seconds(told(port, Synthesize("Still here.").event())) > 0.1
