"""A load generator that costs little itself: raw HTTP/1.1 over a few kept connections."""

import asyncio
import json
import time
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Load:
    """What a run of requests came to."""

    requests: int
    failures: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def post_many(url: str, body: dict[str, object], *, requests: int, connections: int) -> Load:
    """POST the body that many times over that many connections, and time it."""
    return asyncio.run(_post_many(url, body, requests, connections))


async def _post_many(url: str, body: dict[str, object], requests: int, connections: int) -> Load:
    share, started = requests // connections, time.perf_counter()
    statuses = await asyncio.gather(*(_post(url, body, share) for _ in range(connections)))
    seconds = time.perf_counter() - started
    flat = [status for some in statuses for status in some]
    return Load(len(flat), sum(status >= 300 for status in flat), seconds)


async def _post(url: str, body: dict[str, object], requests: int) -> list[int]:
    address, payload = urlsplit(url), json.dumps(body).encode()
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = (
        f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    )
    statuses: list[int] = []
    for _ in range(requests):
        writer.write(head.encode() + payload)
        answer = await reader.readuntil(b"\r\n\r\n")
        statuses.append(int(answer.split(b" ", 2)[1]))
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
    writer.close()
    await writer.wait_closed()
    return statuses
