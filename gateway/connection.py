"""A client's connection: uvicorn's, which bounds neither how long a request's head may take nor how large it is."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
MOST_HEAD_BYTES = 64 * 1024  # about; a token has at most 8 KiB (gateway/auth)


class Connection(HttpToolsProtocol):
    """Closes on a client that does not send its request line and headers in time, or sends too much of them.

    One that has its answer, and has not sent all of its body, has as long to end it.
    """

    head_seconds = HEAD_SECONDS
    most_head_bytes = MOST_HEAD_BYTES

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = True
        self._ends: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as uvicorn has it
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._head_bytes += len(data) if self._in_head else 0
        if self._head_bytes > self.most_head_bytes and not self.transport.is_closing():
            self.send_400_response("The request's headers are too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._wait()

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        self._wait_no_more()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.more_body:
            self._wait()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._wait_no_more()
        self._ends = self.loop.call_later(self.head_seconds, self.timeout_keep_alive_handler)

    def _wait_no_more(self) -> None:
        if self._ends:
            self._ends.cancel()
            self._ends = None
