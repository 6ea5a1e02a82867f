"""Speech that is heard while it is spoken: `python -m bench.api`

The engine hums: each call takes a fixed time, for up to eight utterances together, as on a GPU. All over HTTP, by
`POST /v1/audio/speech` with PCM, each text a new one.

1. first audio: from just before the request to the first byte of its body, one request after another, for an engine
   that takes 30 ms and one that takes 200 ms: against 1.3 times the engine's time for the first utterance plus 40 ms;
2. flat: the same for texts of 2 sentences and of 400, in turn, against the same bar;
3. a crowd: 200 clients at once, each of which must get every byte of its audio;
4. slow readers: requests one after another, alone and beside 50 clients that read their long audio slowly, in turn;
   and how much more memory the gateway has with these.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.figures import Figure, show
from bench.memory import MIB, resident_bytes
from bench.processes import environment, new_worker
from cli.stack.fleet import Fleet
from shared.jobs import Lane

ENGINE_SECONDS = (0.03, 0.2)
MOST_FIRST = (1.3, 0.04)  # times the engine's time, and seconds beside it
MOST_BESIDE_SLOW = 1.25
LONG_SENTENCES = 400  # 13,600 characters; OpenAI takes 4096
CLIENTS = 200
SLOW_CLIENTS = 50
SLOW_BYTES, SLOW_PAUSE_SECONDS = 16 << 10, 0.5  # a third of a second of audio each half second
BYTES_PER_CHARACTER = round(0.06 * 24_000) * 2  # of the humming engine, at the rate of PCM
SENTENCES = ("Good morning to everybody who hears {}.", "And this is what comes behind it.")


@dataclass(frozen=True)
class Heard:
    """What came of one request."""

    status: int
    first_seconds: float
    bytes: int
    whole: bool  # the body came to its end


class _Numbers:
    """So that no text is one that was spoken before."""

    def __init__(self) -> None:
        self._last = time.time_ns() % 10**9

    def text(self, sentences: int = 2) -> str:
        self._last += 1
        return " ".join([SENTENCES[0].format(self._last), *[SENTENCES[1]] * (sentences - 1)])


numbers = _Numbers()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.api", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=60, help="one after another, of each kind (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("bench/results/api.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(Path(folder), requests=options.requests)
    show(figures, title="Speech that is heard while it is spoken")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    content = machine | {"figures": [asdict(figure) for figure in figures]}
    options.output.write_text(json.dumps(content, indent=1) + "\n")
    sys.exit(any(figure.passed is False for figure in figures))


def measured(folder: Path, *, requests: int) -> list[Figure]:
    """Return every figure, of one fleet with one worker at a time."""
    engine = environment(EMOTIVOICE_ENGINE="bench.engines:humming", HUMMING_BATCH_SIZE="8")
    figures: list[Figure] = []
    with engine, Fleet(folder / "stack") as fleet:
        fleet.workers[Lane.INTERACTIVE].stop()
        for seconds in ENGINE_SECONDS:
            with environment(HUMMING_UTTERANCE_SECONDS=str(seconds)):
                worker = new_worker(fleet, f"worker, {seconds} s")
                worker.start()
            figures += asyncio.run(_first_audio(fleet.url, seconds, requests))
            figures += asyncio.run(_flat(fleet.url, seconds, requests // 3))
            if seconds == ENGINE_SECONDS[0]:
                figures += asyncio.run(_crowd(fleet.url))
                figures += asyncio.run(_slow_readers(fleet, requests // 2))
            worker.stop()
    return figures


async def _first_audio(url: str, engine_seconds: float, requests: int) -> list[Figure]:
    await heard(url, numbers.text())  # warm: connections, scripts, threads
    seconds = [(await heard(url, numbers.text())).first_seconds for _ in range(requests)]
    name = f"first audio, engine {engine_seconds * 1000:.0f} ms"
    return [
        _milliseconds(f"{name}, p50", statistics.median(seconds), most=_most(engine_seconds)),
        _milliseconds(f"{name}, p95", _p95(seconds)),
    ]


async def _flat(url: str, engine_seconds: float, requests: int) -> list[Figure]:
    short: list[float] = []
    long: list[float] = []
    for _ in range(requests):
        short.append((await heard(url, numbers.text())).first_seconds)
        long.append((await heard(url, numbers.text(LONG_SENTENCES), first_only=True)).first_seconds)
        await asyncio.sleep(4)  # what was begun of the long one is cancelled by then
    ratio = statistics.median(long) / statistics.median(short)
    return [
        _milliseconds(f"of {LONG_SENTENCES} sentences, p50", statistics.median(long), most=_most(engine_seconds)),
        Figure("to that of 2 sentences", ratio, "times"),
    ]


async def _crowd(url: str) -> list[Figure]:
    texts = [numbers.text() for _ in range(CLIENTS)]
    started = time.monotonic()
    answers = await asyncio.gather(*(heard(url, text) for text in texts))
    seconds = time.monotonic() - started
    good = sum(_complete(answer, text) for answer, text in zip(answers, texts, strict=True))
    firsts = [answer.first_seconds for answer in answers]
    return [
        Figure(f"{CLIENTS} clients at once, complete", good, "", f"{CLIENTS}", good == CLIENTS),
        Figure("all of them", seconds, "s"),
        Figure("first audio p50", statistics.median(firsts), "s"),
        Figure("first audio, the last", max(firsts), "s"),
    ]


def _complete(answer: Heard, text: str) -> bool:
    """Whether the audio is as long as what the engine hums, pauses apart."""
    return answer.whole and answer.status == 200 and answer.bytes >= len(text.replace(". ", ".")) * BYTES_PER_CHARACTER


async def _slow_readers(fleet: Fleet, requests: int) -> list[Figure]:
    alone = [(await heard(fleet.url, numbers.text())).first_seconds for _ in range(requests)]
    before = resident_bytes(fleet.gateway.pid)
    slow = [asyncio.create_task(_read_slowly(fleet.url)) for _ in range(SLOW_CLIENTS)]
    await asyncio.sleep(20)  # by then the engine has spoken them all
    beside = [(await heard(fleet.url, numbers.text())).first_seconds for _ in range(requests)]
    grown = resident_bytes(fleet.gateway.pid) - before
    still = sum(not task.done() for task in slow)
    for task in slow:
        task.cancel()
    ratio = statistics.median(beside) / statistics.median(alone)
    return [
        Figure("slow readers, still at it", still, "", f"{SLOW_CLIENTS}", still == SLOW_CLIENTS),
        _milliseconds("first audio beside them, p50", statistics.median(beside)),
        Figure("to that without them", ratio, "times", f"at most {MOST_BESIDE_SLOW}", ratio <= MOST_BESIDE_SLOW),
        Figure("memory of the gateway for each", grown / MIB / SLOW_CLIENTS, "MiB"),
    ]


async def _read_slowly(url: str) -> None:
    reader, writer = await _posted(url, numbers.text(60))
    try:
        await reader.readuntil(b"\r\n\r\n")
        size = await _chunk(reader)
        while size:
            await asyncio.sleep(SLOW_PAUSE_SECONDS)
            size = len(await reader.read(SLOW_BYTES))
    finally:
        writer.close()


async def heard(url: str, text: str, *, first_only: bool = False) -> Heard:
    """Have a text spoken and read the audio."""
    started = time.monotonic()
    reader, writer = await _posted(url, text)
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if b"chunked" not in head.lower():
            return Heard(status, 0.0, 0, whole=False)
        size = await _chunk(reader)
        first_seconds, total = time.monotonic() - started, size
        while size and not first_only:
            size = await _chunk(reader)
            total += size
        return Heard(status, first_seconds, total, whole=not size)
    except (EOFError, OSError):
        return Heard(0, 0.0, 0, whole=False)
    finally:
        writer.close()


async def _posted(url: str, text: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(url)
    payload = json.dumps({"input": text, "response_format": "pcm"}).encode()
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=SLOW_BYTES)
    writer.write(
        f"POST /v1/audio/speech HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(payload)}\r\nConnection: close\r\n\r\n".encode()
        + payload
    )
    return reader, writer


async def _chunk(reader: asyncio.StreamReader) -> int:
    """Read one chunk of a body; return its size."""
    size = int(await reader.readline(), 16)
    await reader.readexactly(size + 2)
    return size


def _most(engine_seconds: float) -> float:
    return MOST_FIRST[0] * engine_seconds + MOST_FIRST[1]


def _milliseconds(name: str, seconds: float, *, most: float | None = None) -> Figure:
    bar = f"at most {most * 1000:.0f}" if most else ""
    return Figure(name, seconds * 1000, "ms", bar, None if most is None else seconds <= most)


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[18]


if __name__ == "__main__":
    main()
