"""Cheap questions that tell whether a server answers. No client library: they run many times a second."""

import http.client
import random
import socket
import sys
from pathlib import Path

LOOPBACK = "127.0.0.1"
TIMEOUT_SECONDS = 1.0
AMQP_GREETING = b"AMQP\x00\x00\x09\x01"
AMQP_METHOD_FRAME = b"\x01"
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def speaks_amqp(port: int) -> bool:
    """Whether a RabbitMQ node takes connections; it opens its port only after the rest of its boot."""
    return _exchange(port, AMQP_GREETING)[:1] == AMQP_METHOD_FRAME


def speaks_redis(port: int, password: str) -> bool:
    """Whether Redis answers PING; while it loads its data it says LOADING."""
    return b"+PONG" in _exchange(port, f"AUTH {password}\r\nPING\r\n".encode(), replies=2)


def speaks_http(port: int) -> bool:
    """Whether anything answers HTTP, with whatever status."""
    return _http_status(port, "/") is not None


def http_ok(port: int, path: str) -> bool:
    """Whether the path answers 200."""
    return _http_status(port, path) == http.client.OK


def accepts(port: int) -> bool:
    """Whether something listens on the port."""
    try:
        with socket.create_connection((LOOPBACK, port), TIMEOUT_SECONDS):
            return True
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below the range from which outgoing connections take theirs.

    A port from that range may be taken by any client between our choice and the server's start, or while a
    server is being restarted; a client that reconnects in a loop can even connect to itself there.
    """
    first_ephemeral = int(EPHEMERAL_RANGE.read_text().split()[0]) if EPHEMERAL_RANGE.exists() else 49152
    top = first_ephemeral if first_ephemeral > 12000 else 65536
    candidates = random.SystemRandom().sample(range(10000, top), k=min(200, top - 10000))
    free = [port for port in candidates if is_free(port)]
    return free[:count]


def is_free(port: int) -> bool:
    """Whether a server could listen on the loopback port now."""
    with socket.socket() as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _exchange(port: int, request: bytes, *, replies: int = 1) -> bytes:
    try:
        with socket.create_connection((LOOPBACK, port), TIMEOUT_SECONDS) as connection:
            connection.sendall(request)
            answer = connection.recv(4096)
            while answer and answer.count(b"\n") < replies - 1:
                answer += connection.recv(4096) or b"\n" * replies
            return answer
    except OSError:
        return b""


def _http_status(port: int, path: str) -> int | None:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
