"""A TCP proxy that misbehaves as it is told: the way of one process to one server."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from cli.stack.probes import LOOPBACK

CHUNK_BYTES = 64 * 1024
THROTTLE_STEPS = 20  # a throttled connection gets its bytes in so many pieces a second
CALL_SECONDS = 10.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: closing sends RST instead of FIN

T = TypeVar("T")


class ProxyLoop:
    """One thread with the event loop in which proxies run."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxies", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it in the loop and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    def stop(self) -> None:
        """End the thread; every proxy must have been closed."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.close()


@dataclass(eq=False)
class _Link:
    """One client's connection, and the task that passes on what goes through it."""

    client: socket.socket
    task: "asyncio.Task[None] | None" = None
    lost_bytes: bool = False

    def reset_on_close(self) -> None:
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


class FaultProxy:
    """Passes bytes between `port` and a server's port on this machine. Every method may be called from any thread.

    `latency_seconds` delays every piece of data in both directions; `bytes_per_second` limits each connection and
    direction, 0 for no limit. Both may be changed at any time.
    """

    def __init__(self, loop: ProxyLoop, *, port: int, server_port: int) -> None:
        self.port = port
        self.latency_seconds = 0.0
        self.bytes_per_second = 0
        self._loop = loop
        self._server_port = server_port
        self._listener: socket.socket | None = None
        self._links: set[_Link] = set()
        self._swallowing = False
        self.heal()

    @property
    def connections(self) -> int:
        """How many clients are connected just now."""
        return len(self._links)

    def cut(self) -> None:
        """Close every connection and refuse new ones."""
        self._loop.call(self._cut())

    def reset(self) -> None:
        """End every connection with an RST; new ones are taken."""
        self._loop.call(self._end(lambda _: True, reset=True))

    def swallow(self) -> None:
        """Be a black hole: take connections and whatever they send, pass nothing on, answer nothing."""
        self._swallowing = True

    def heal(self) -> None:
        """Work again as a proxy should. A connection of which bytes were lost is reset: its stream has a hole."""
        self.latency_seconds, self.bytes_per_second, self._swallowing = 0.0, 0, False
        self._loop.call(self._heal())

    def close(self) -> None:
        """Refuse, for good."""
        self.cut()

    async def _heal(self) -> None:
        await self._end(lambda link: link.lost_bytes, reset=True)
        if self._listener is None:
            self._listener = socket.create_server((LOOPBACK, self.port), backlog=128)
            self._listener.setblocking(False)
            asyncio.get_running_loop().add_reader(self._listener, self._take, self._listener)

    async def _cut(self) -> None:
        if self._listener:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        await self._end(lambda _: True, reset=False)

    async def _end(self, which: Callable[[_Link], bool], *, reset: bool) -> None:
        for link in [link for link in self._links if which(link)]:
            if reset:
                link.reset_on_close()
            if link.task:
                link.task.cancel()
                await asyncio.wait([link.task])

    def _take(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:  # the client has gone again
            return
        client.setblocking(False)
        link = _Link(client)
        link.task = asyncio.create_task(self._serve(link))

        def ended(task: "asyncio.Task[None]") -> None:
            client.close()
            self._links.discard(link)

        self._links.add(link)
        link.task.add_done_callback(ended)

    async def _serve(self, link: _Link) -> None:
        try:
            with socket.socket() as server:
                server.setblocking(False)
                await asyncio.get_running_loop().sock_connect(server, (LOOPBACK, self._server_port))
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pump(link.client, server, link))
                    both.create_task(self._pump(server, link.client, link))
        except* OSError:  # the server is away, or one side has reset: so does the other
            link.reset_on_close()

    async def _pump(self, source: socket.socket, sink: socket.socket, link: _Link) -> None:
        """Pass on until the source has said everything; then the sink is told."""
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(source, CHUNK_BYTES):
            if self.latency_seconds:
                await asyncio.sleep(self.latency_seconds)
            if self._swallowing:
                link.lost_bytes = True
            else:
                await self._pass_on(data, sink)
        if not self._swallowing:
            sink.shutdown(socket.SHUT_WR)

    async def _pass_on(self, data: bytes, sink: socket.socket) -> None:
        while data:
            rate = self.bytes_per_second
            most = max(1, rate // THROTTLE_STEPS) if rate else CHUNK_BYTES
            piece, data = data[:most], data[most:]
            await asyncio.get_running_loop().sock_sendall(sink, piece)
            if rate:
                await asyncio.sleep(len(piece) / rate)
