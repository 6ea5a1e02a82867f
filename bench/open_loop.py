"""Posts at given times, whether those before are answered or not: an open loop. It costs little itself."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

CONNECTIONS = 64  # more posts than that are never unanswered at once; one that has to wait is late, which is told
IDLE_SECONDS = 2.0  # uvicorn closes a connection that has been idle for 5
ANSWER_SECONDS = 30.0

Json = dict[str, Any]


@dataclass(frozen=True)
class Post:
    """What is to be posted, and when, in seconds from the beginning."""

    at: float
    body: Json


@dataclass(frozen=True)
class Answer:
    """What came of a post."""

    status: int  # 0: none
    body: Json
    late_seconds: float  # how long after its time it was sent
    seconds: float  # until the answer was there


class OpenLoop:
    """A thread that posts, in the order given. At the end of the context it stops, whatever is left."""

    def __init__(self, url: str, posts: Sequence[Post], *, connections: int = CONNECTIONS) -> None:
        self.answers: list[Answer | None] = [None] * len(posts)  # of each post; None: not yet
        self._url, self._connections = urlsplit(url), connections
        self._left = enumerate(posts)
        self._began = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="open loop", daemon=True)

    def start(self, began: float) -> None:
        """Begin: second 0 is this moment of time.monotonic()."""
        self._began = began
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether everything was posted and answered, or given up."""
        return not self._thread.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._thread.is_alive():
            with suppress(RuntimeError):  # it ended in this moment
                self._loop.call_soon_threadsafe(self._cancel)
            self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._post_all())

    def _cancel(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    async def _post_all(self) -> None:
        await asyncio.gather(*(self._post_in_turn(self._left) for _ in range(self._connections)))

    async def _post_in_turn(self, left: Iterator[tuple[int, Post]]) -> None:
        """Take the next post, wait for its time, send it; there are as many of these as connections."""
        connection = _Connection(self._url)
        try:
            for index, post in left:
                await asyncio.sleep(self._began + post.at - time.monotonic())
                sent = time.monotonic()
                try:
                    status, body = await asyncio.wait_for(connection.post(post.body), ANSWER_SECONDS)
                except (OSError, EOFError, TimeoutError, ValueError):
                    connection.close()
                    status, body = 0, Json()
                self.answers[index] = Answer(status, body, sent - self._began - post.at, time.monotonic() - sent)
        finally:
            connection.close()


class _Connection:
    """Raw HTTP/1.1 over a connection that is kept while it is used often enough."""

    def __init__(self, url: SplitResult) -> None:
        self._url = url
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used_at = 0.0

    async def post(self, body: Json) -> tuple[int, Json]:
        payload = json.dumps(body).encode()
        head = (
            f"POST {self._url.path} HTTP/1.1\r\nHost: {self._url.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
        )
        reader, writer = await self._open()
        writer.write(head.encode() + payload)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        content = await reader.readexactly(int(length.split(b":")[1]))
        self._used_at = time.monotonic()
        return int(answer.split(b" ", 2)[1]), json.loads(content)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._url.hostname, self._url.port)
        return self._streams

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None
