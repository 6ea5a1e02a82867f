"""The fault proxy does to a connection what it says, and nothing else."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from cli.stack.probes import LOOPBACK, free_ports
from tests.faults.proxy import FaultProxy, ProxyLoop
from tests.waiting import wait_for


class EchoServer:
    """Sends back what it gets; `heard` counts its bytes."""

    def __init__(self, port: int) -> None:
        self.heard = 0
        self._listener = socket.create_server((LOOPBACK, port))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        try:
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._echo, args=(connection,), daemon=True).start()
        except OSError:  # closed
            return

    def _echo(self, connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):
            while data := connection.recv(65536):
                self.heard += len(data)
                connection.sendall(data)


@pytest.fixture
def ports() -> list[int]:
    return free_ports(2)


@pytest.fixture
def server(ports: list[int]) -> Iterator[EchoServer]:
    server = EchoServer(ports[1])
    yield server
    server.close()


@pytest.fixture
def proxy(ports: list[int]) -> Iterator[FaultProxy]:
    loop = ProxyLoop()
    proxy = FaultProxy(loop, port=ports[0], server_port=ports[1])
    yield proxy
    proxy.close()
    loop.stop()


@pytest.fixture
def client(proxy: FaultProxy, server: EchoServer) -> Iterator[socket.socket]:
    with connected(proxy) as client:
        yield client


def connected(proxy: FaultProxy, *, timeout_seconds: float = 5) -> socket.socket:
    return socket.create_connection((LOOPBACK, proxy.port), timeout_seconds)


def asked(client: socket.socket, question: bytes = b"ping") -> bytes:
    """Send, and return as many bytes as were sent, or what came before the end."""
    client.sendall(question)
    answer = b""
    while len(answer) < len(question) and (more := client.recv(65536)):
        answer += more
    return answer


def test_it_passes_on_what_both_sides_send(client: socket.socket) -> None:
    question = bytes(range(256)) * 1000

    assert asked(client, question) == question


def test_it_tells_the_client_when_the_server_ends_the_connection(client: socket.socket, proxy: FaultProxy) -> None:
    client.shutdown(socket.SHUT_WR)  # the server answers the end with its own

    assert client.recv(1) == b""
    wait_for(lambda: proxy.connections == 0)


def test_it_refuses_when_the_server_does(proxy: FaultProxy, ports: list[int]) -> None:
    with socket.socket() as kept:  # nobody listens there, and nobody else may begin to
        kept.bind((LOOPBACK, ports[1]))
        with pytest.raises(ConnectionResetError), connected(proxy) as client:  # the reset may come while it connects
            client.recv(1)


def test_latency_delays_the_answer(client: socket.socket, proxy: FaultProxy) -> None:
    proxy.latency_seconds = 0.1
    started = time.monotonic()

    assert asked(client) == b"ping"
    assert time.monotonic() - started >= 0.2  # there and back


def test_a_cut_closes_what_is_open_and_refuses_what_is_new(client: socket.socket, proxy: FaultProxy) -> None:
    asked(client)

    proxy.cut()

    assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
    assert proxy.connections == 0


def test_after_a_cut_it_can_be_healed(client: socket.socket, proxy: FaultProxy) -> None:
    proxy.cut()
    proxy.heal()

    with connected(proxy) as again:
        assert asked(again) == b"ping"


def test_a_reset_ends_what_is_open_and_takes_what_is_new(client: socket.socket, proxy: FaultProxy) -> None:
    asked(client)

    proxy.reset()

    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with connected(proxy) as again:
        assert asked(again) == b"ping"


def test_a_throttled_connection_gets_its_bytes_slowly_but_all(client: socket.socket, proxy: FaultProxy) -> None:
    proxy.bytes_per_second = 50_000
    question = b"x" * 20_000
    started = time.monotonic()

    assert asked(client, question) == question
    assert time.monotonic() - started >= 0.3  # 0.4 s at that rate, but for the last piece


def test_a_black_hole_takes_everything_and_answers_nothing(
    client: socket.socket, proxy: FaultProxy, server: EchoServer
) -> None:
    asked(client)
    heard = server.heard

    proxy.swallow()

    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        asked(client)
    with connected(proxy, timeout_seconds=0.2) as new, pytest.raises(TimeoutError):
        asked(new)
    assert server.heard == heard


def test_a_connection_that_lost_bytes_is_reset_when_the_proxy_heals(client: socket.socket, proxy: FaultProxy) -> None:
    with connected(proxy) as idle:
        asked(idle)
        proxy.swallow()
        client.sendall(b"lost")
        time.sleep(0.1)  # for the proxy to take it
        proxy.heal()

        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert asked(idle) == b"ping"
