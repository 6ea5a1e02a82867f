"""Text as it is written, by a real client on a real fleet: audio comes before the text is whole."""

import json
import re
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from audio.encoding import decode
from cli.stack.folder import CODE_FOLDER
from tests.api import Json
from tests.integration.conftest import RunningFleet
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

SECONDS_PER_CHARACTER = 0.06  # of the engine that obeys


def opened(fleet: RunningFleet, query: str = "", *, max_queue: int = 16) -> ClientConnection:
    address = f"{fleet.fleet.url.replace('http', 'ws')}/v1/stream{query}"
    return connect(address, proxy=None, max_queue=max_queue)


def send(socket: ClientConnection, kind: str, **fields: object) -> None:
    socket.send(json.dumps({"type": kind, **fields}))


def newest(fleet: RunningFleet) -> Json:
    return fleet.api.http.get("/v1/jobs?limit=1").json()["jobs"][0]


@dataclass
class Heard:
    """What came of a stream."""

    audio: bytes = b""
    events: list[Json] = field(default_factory=list[Json])
    first_audio_at: float = 0.0
    closed: int = 0

    def of(self, kind: str) -> list[Json]:
        return [one for one in self.events if one["type"] == kind]

    def listen(self, socket: ClientConnection) -> "Heard":
        """Take everything that comes."""
        try:
            while True:
                message = socket.recv(timeout=30)
                if isinstance(message, bytes):
                    self.first_audio_at = self.first_audio_at or time.monotonic()
                    self.audio += message
                else:
                    self.events.append(json.loads(message))
        except ConnectionClosed:
            self.closed = socket.close_code or 0
        return self


def written(fleet: RunningFleet, text: str, *, pause_seconds: float = 0.0, **start: object) -> tuple[Heard, float]:
    """Write a text word by word while another thread listens; return what was heard, and when the last was written."""
    with opened(fleet) as socket, ThreadPoolExecutor(1) as thread:
        send(socket, "start", **start)
        heard = thread.submit(Heard().listen, socket)
        for delta in re.findall(r"\S+\s*", text):
            send(socket, "text", text=delta)
            time.sleep(pause_seconds)
        last_written_at = time.monotonic()
        send(socket, "end")
        return heard.result(), last_written_at


def test_the_first_sentence_is_heard_before_the_last_is_written(fleet: RunningFleet) -> None:
    text = f"{uuid.uuid4().hex} is first. 这是第二句，今天天气真好！ And here are words for the third one of them."

    heard, last_written_at = written(fleet, text, pause_seconds=0.1, sample_rate=16_000)

    segments = heard.of("segment")
    assert heard.first_audio_at < last_written_at - 0.5
    assert "".join(segment["text"] for segment in segments) == text
    assert [segment["segment"] for segment in segments] == list(range(len(segments)))
    assert len(segments) == 3
    usage = heard.of("done")[0]["usage"]
    assert usage["characters"] == len(text)
    assert len(heard.audio) / 32_000 == pytest.approx(usage["audio_seconds"], abs=0.01)
    assert usage["audio_seconds"] == pytest.approx(len(text) * SECONDS_PER_CHARACTER + 2 * 0.45, abs=0.5)
    assert heard.closed == 1000


@pytest.mark.parametrize("format", ["mp3", "opus", "aac", "flac", "wav"])
def test_all_pieces_are_one_file(fleet: RunningFleet, format: str) -> None:
    text = f"One of two, {uuid.uuid4().hex[:8]}. And two of them."

    heard, _ = written(fleet, text, format=format, sample_rate=48_000)

    assert decode(heard.audio).seconds == pytest.approx(heard.of("done")[0]["usage"]["audio_seconds"], abs=0.15)


def test_two_clients_hear_their_own_text(fleet: RunningFleet) -> None:
    texts = [f"Client {n} has {uuid.uuid4().hex}. " + "And goes on. " * (3 * n + 1) for n in range(2)]

    with ThreadPoolExecutor(2) as threads:
        writing = [threads.submit(written, fleet, text, pause_seconds=0.02) for text in texts]
        both = [each.result()[0] for each in writing]

    for text, heard in zip(texts, both, strict=True):
        assert "".join(segment["text"] for segment in heard.of("segment")).strip() == text.strip()
        assert len(heard.audio) / 48_000 == pytest.approx(heard.of("done")[0]["usage"]["audio_seconds"], abs=0.01)


def test_what_is_beside_an_unspeakable_sentence_is_heard(fleet: RunningFleet) -> None:
    with opened(fleet) as socket:
        send(socket, "start")
        for text in (f"Good {uuid.uuid4().hex}. ", "I mumble only. ", "Good again."):
            send(socket, "text", text=text)
            send(socket, "flush")
        send(socket, "end")
        heard = Heard().listen(socket)

    assert [warning["code"] for warning in heard.of("warning")] == ["unspeakable_text"]
    assert heard.of("warning")[0]["text"].strip() == "I mumble only."
    assert [segment["segment"] for segment in heard.of("segment")] == [0, 2]
    assert len(heard.of("flushed")) == 3


def test_a_failure_is_told_before_it_is_closed(fleet: RunningFleet) -> None:
    heard, _ = written(fleet, f"This is heard, {uuid.uuid4().hex}. And this I refuse.")

    assert (heard.events[-1]["type"], heard.events[-1]["code"], heard.closed) == ("error", "engine_failed", 4500)


def test_a_message_that_is_too_long_is_refused(fleet: RunningFleet) -> None:
    with opened(fleet) as socket:
        send(socket, "start")
        send(socket, "text", text="x" * 70_000)

        assert Heard().listen(socket).closed == 1009


def test_a_client_that_goes_has_its_jobs_cancelled(fleet: RunningFleet) -> None:
    fleet.gate.close()
    with opened(fleet) as socket:
        send(socket, "start")
        send(socket, "text", text=f"Please wait for me, {uuid.uuid4().hex}.")
        send(socket, "flush")
        wait_for(lambda: newest(fleet)["state"] == "running")
        job_id = newest(fleet)["id"]

    wait_for(lambda: fleet.api.job(job_id)["state"] == "cancelled")


def test_a_slow_reader_gets_everything_and_holds_up_nobody(fleet: RunningFleet) -> None:
    text = f"A slow one, {uuid.uuid4().hex}. " + "It goes on and on, for a sentence or more than that. " * 80
    with opened(fleet, max_queue=1) as socket:
        send(socket, "start", sample_rate=48_000)
        for start in range(0, len(text), 200):
            send(socket, "text", text=text[start : start + 200])
        send(socket, "end")
        time.sleep(3)
        started = time.monotonic()
        quick, _ = written(fleet, f"Quick, {uuid.uuid4().hex[:8]}.")
        seconds = time.monotonic() - started
        heard = Heard().listen(socket)

    assert (quick.closed, heard.closed, heard.of("error")) == (1000, 1000, [])
    assert seconds < 3
    assert len(heard.audio) > 20 << 20  # more than any buffer on the way would hold
    assert len(heard.audio) / 96_000 == pytest.approx(heard.of("done")[0]["usage"]["audio_seconds"], abs=0.01)


def test_no_text_and_no_address_is_in_the_log(fleet: RunningFleet) -> None:
    secret = uuid.uuid4().hex
    with opened(fleet, f"?token={secret}") as socket:
        send(socket, "start")
        send(socket, "text", text=f"Nobody may read {secret}.")
        send(socket, "end")
        assert Heard().listen(socket).closed == 1000

    logs = {path.name: path.read_text() for path in fleet.logs.glob("*.log")}
    assert any("a stream has ended" in log for log in logs.values())
    assert [name for name, log in logs.items() if secret in log] == []


def test_the_client_of_the_documentation_works(fleet: RunningFleet, tmp_path: Path) -> None:
    page = (CODE_FOLDER / "docs" / "streaming.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code = code.replace("ws://127.0.0.1:8080", fleet.fleet.url.replace("http", "ws")).replace(
        '"emotion": "happy"', '"seed": 1'
    )
    (tmp_path / "demo-output").mkdir()

    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert ran.returncode == 0, ran.stderr
    assert [json.loads(line)["type"] for line in ran.stdout.splitlines()][-1] == "done"
    assert decode((tmp_path / "demo-output" / "stream.mp3").read_bytes()).seconds > 3
