"""Clients that send too much or too slowly, on real sockets."""

import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from gateway.body_limit import BodyLimit
from gateway.connection import Connection
from gateway.errors import add_error_handlers

QUICK_SECONDS = 0.4
MOST_BYTES = 1000


class Impatient(Connection):
    head_seconds = QUICK_SECONDS


class Server(uvicorn.Server):
    @property
    def port(self) -> int:
        return self.servers[0].sockets[0].getsockname()[1]


def application() -> FastAPI:
    app = FastAPI()

    @app.post("/{path}")
    async def length(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction] - a route
        return Response(str(len(await request.body())))

    @app.post("/early/answer")
    async def early() -> Response:  # pyright: ignore[reportUnusedFunction] - a route
        return Response("before your body")

    add_error_handlers(app)
    app.add_middleware(BodyLimit, limit=MOST_BYTES, seconds=QUICK_SECONDS, larger={"/books": MOST_BYTES * 10})
    return app


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    config = uvicorn.Config(application(), port=0, http=Impatient, log_config=None, lifespan="off")
    server = Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.port
    server.should_exit = True
    thread.join()


@contextmanager
def connected(port: int) -> Generator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        yield client


def head(path: str, length: int) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n\r\n".encode()


def until_closed(client: socket.socket) -> tuple[bytes, float]:
    """Return what comes until the server closes, and how long that takes."""
    began, received = time.monotonic(), b""
    while data := client.recv(65536):
        received += data
    return received, time.monotonic() - began


def answer(client: socket.socket) -> bytes:
    return client.recv(65536)


@pytest.mark.parametrize("sent", [b"", b"POST /x HTTP/1.1\r\nHost: he"])
def test_who_does_not_send_a_whole_head_is_let_go(port: int, sent: bytes) -> None:
    with connected(port) as client:
        client.sendall(sent)
        received, seconds = until_closed(client)

    assert received == b""
    assert QUICK_SECONDS * 0.8 < seconds < QUICK_SECONDS + 2


def test_a_head_that_drips_is_no_better(port: int) -> None:
    began = time.monotonic()
    with connected(port) as client, suppress(OSError):  # closed, it can't be sent to
        for letter in [b"POST /", *[b"x"] * 100]:
            client.sendall(letter)
            time.sleep(0.05)

    assert time.monotonic() - began < QUICK_SECONDS + 2


def test_the_second_head_of_a_connection_has_its_time_too(port: int) -> None:
    with connected(port) as client:
        client.sendall(head("/x", 2) + b"ab")
        assert answer(client).endswith(b"2")
        client.sendall(b"POST /x HT")
        received, seconds = until_closed(client)

    assert received == b""
    assert seconds < QUICK_SECONDS + 2


def test_a_head_without_end_is_refused(port: int) -> None:
    with connected(port) as client:
        client.sendall(b"POST /x HTTP/1.1\r\n" + b"X-Long: " + b"x" * (Connection.most_head_bytes + 1000))
        assert answer(client).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_does_not_come_is_waited_for_no_longer(port: int) -> None:
    with connected(port) as client:
        client.sendall(head("/x", 10) + b"abc")
        began = time.monotonic()
        received = answer(client)

        assert received.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"body_too_slow"' in received
        assert QUICK_SECONDS * 0.8 < time.monotonic() - began < QUICK_SECONDS + 2
        assert until_closed(client)[0] == b""


def test_a_route_may_take_more_than_the_others(port: int) -> None:
    body = b"x" * (MOST_BYTES + 1)
    with connected(port) as client:
        client.sendall(head("/books", len(body)) + body)
        assert answer(client).endswith(b"1001")
    with connected(port) as client:
        client.sendall(head("/bookshop", len(body)) + body)
        assert b'"code":"body_too_large"' in answer(client)


def test_who_has_an_answer_before_all_was_sent_does_not_keep_the_connection(port: int) -> None:
    with connected(port) as client:
        client.sendall(head("/early/answer", 10) + b"abc")
        assert answer(client).endswith(b"before your body")
        assert until_closed(client)[1] < QUICK_SECONDS + 2
