"""`emotivoice up` as a user meets it: a process that starts others, and leaves none behind however it ends."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.e2e

EMOTIVOICE = [str(Path(sys.executable).with_name("emotivoice"))]


class Up:
    """One `emotivoice up`, with an engine that loads at once."""

    def __init__(self, data: Path, *options: str) -> None:
        environment = {**os.environ, "EMOTIVOICE_ENGINE": "bench.engines:humming"}
        command = [*EMOTIVOICE, "up", "--port", "0", "--data", str(data), *options]
        self.log = data.parent / "up.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)

    def said(self, pattern: str) -> re.Match[str]:
        """Wait until it says something."""
        wait_until(lambda: re.search(pattern, self.text) is not None or self.process.poll() is not None, seconds=60)
        found = re.search(pattern, self.text)
        assert found, self.text
        return found

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def text(self) -> str:
        return self.log.read_text()

    @property
    def url(self) -> str:
        return self.said(r"API\s+(http://\S+)")[1]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path / "data")
    yield running
    running.close()


def test_it_serves_until_it_is_told_to_stop_and_guards_its_folder(up: Up, tmp_path: Path) -> None:
    assert httpx.get(f"{up.url}/readyz").status_code == 200
    started = descendants(up.process.pid)
    assert len(started) >= 8

    second = subprocess.run(
        [*EMOTIVOICE, "up", "--data", str(tmp_path / "data")], capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert f"(process {up.process.pid})" in second.stderr

    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=30) == 0
    assert not alive(started)


def test_it_stops_everything_when_a_worker_dies(up: Up) -> None:
    assert up.url
    started = descendants(up.process.pid)
    [worker] = [pid for pid in started if b"EMOTIVOICE_LANE=bulk" in environment(pid) and parent(pid) == up.process.pid]
    os.kill(worker, signal.SIGKILL)

    assert up.process.wait(timeout=30) == 1
    assert "worker-bulk stopped by itself (killed by signal 9)" in up.text
    assert not alive(started)


@pytest.mark.skipif(not Path("/usr/bin/setpriv").exists(), reason="what ends the children of a killed parent")
def test_a_killed_one_leaves_nothing_behind_and_its_folder_works_again(up: Up, tmp_path: Path) -> None:
    assert up.url
    started = descendants(up.process.pid)
    up.process.kill()
    up.process.wait()
    again = Up(tmp_path / "data")

    assert httpx.get(f"{again.url}/readyz").status_code == 200
    assert not alive(started)
    again.process.terminate()
    assert again.process.wait(timeout=30) == 0


def test_it_stops_while_it_is_still_starting(up: Up) -> None:
    up.said("waiting for")
    started = descendants(up.process.pid)
    up.process.terminate()
    assert up.process.wait(timeout=20) == 0
    assert not alive(started)


def descendants(pid: int) -> list[int]:
    children = [child for child in processes() if parent(child) == pid]
    return children + [below for child in children for below in descendants(child)]


def processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def parent(pid: int) -> int:
    fields = status(pid)
    return int(fields[1]) if fields else 0


def alive(pids: list[int]) -> list[int]:
    """Those that still run, after a moment for the last to end."""
    deadline = time.monotonic() + 5
    while (left := [pid for pid in pids if status(pid)[:1] not in ([], ["Z"])]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def status(pid: int) -> list[str]:
    """State, parent, and so on; nothing for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def wait_until(condition: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
