"""Files from addresses that clients name: what redirects, resolvers and servers may try."""

import io
import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from shared.fetching import UnwantedAnswer, fetch
from shared.outbound import Rules, TargetRefused, TargetUnreachable, networks
from tests.receiving import Server, serving

LOCAL = Rules(http=True, private=networks("127.0.0.1/32"))
TYPES = ("audio/", "application/ogg")
Answer = Callable[[BaseHTTPRequestHandler], None]


def sound(handler: BaseHTTPRequestHandler, *, content_type: str = "audio/wav", body: bytes = b"RIFF....") -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def leading_to(where: str) -> Answer:
    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", where)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return redirect


def fetched(url: str, *, rules: Rules = LOCAL, seconds: float = 5.0, most_bytes: int = 1000) -> bytes:
    file = io.BytesIO()
    fetch(url, file, rules=rules, types=TYPES, seconds=seconds, most_bytes=most_bytes)
    return file.getvalue()


def at(server: Server, path: str = "/clip") -> str:
    return f"http://127.0.0.1:{server.server_port}{path}"


def test_a_file_arrives() -> None:
    with serving(sound) as server:
        assert fetched(at(server)) == b"RIFF...."

    ((method, path, headers, _),) = server.requests
    assert (method, path, headers["Accept-Encoding"]) == ("GET", "/clip", "identity")


def test_without_the_setting_nothing_of_ours_is_asked() -> None:
    with serving(sound) as server, pytest.raises(TargetRefused):
        fetched(at(server), rules=Rules(http=True))

    assert server.requests == []


def test_redirects_are_followed() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        hops = {"/a": "/b", "/b": "c?x=1#part", "/c?x=1": f"http://{handler.headers['Host']}/d"}
        if handler.path in hops:
            leading_to(hops[handler.path])(handler)
        else:
            sound(handler)

    with serving(answer) as server:
        assert fetched(at(server, "/a")) == b"RIFF...."

    assert [path for _, path, _, _ in server.requests] == ["/a", "/b", "/c?x=1", "/d"]


def test_a_circle_of_redirects_ends() -> None:
    with serving(leading_to("/clip")) as server, pytest.raises(TargetRefused, match="more than 3 times"):
        fetched(at(server))

    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "where",
    [
        "http://127.0.0.2/",
        "http://2130706434/",
        "http://169.254.169.254/latest/meta-data/",
        "http://168.63.129.16/",
        "http://10.0.0.1/",
        "http://192.168.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b::10.0.0.1]/",
        "http://[2002:7f00:1::]/",
        "http://[fd00:ec2::254]/",
        "http://[fe80::1]/",
        "http://user@8.8.8.8/",
        "//127.0.0.2/",
        "file:///etc/passwd",
        "ftp://8.8.8.8/",
        "gopher://8.8.8.8/",
        "data:audio/wav,x",
    ],
)
def test_a_redirect_to_what_may_not_be_asked_is_refused(where: str) -> None:
    with serving(leading_to(where)) as server, pytest.raises(TargetRefused):
        fetched(at(server))

    assert len(server.requests) == 1


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_a_redirect_away_from_tls_is_refused(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """The first answer came by TLS."""
    with serving(leading_to("http://127.0.0.1/clip")) as server:
        inside = at(server)
        monkeypatch.setattr("shared.fetching.asking", _as_if_by_tls(inside))
        with pytest.raises(TargetRefused, match="https://"):
            fetched(f"{scheme}://clips.example/clip")


def _as_if_by_tls(inside: str) -> Callable[..., Any]:
    from shared.outbound import asking

    def ask(method: str, url: str, **arguments: Any) -> Any:
        return asking(method, inside if url.lower().startswith("https:") else url, **arguments)

    return ask


def test_a_name_that_is_rebound_between_two_hops_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hop is resolved once, checked, and connected to by the address that was checked."""
    with serving(leading_to("http://clips.example/inside")) as server:
        replies = iter(["127.0.0.1", "127.0.0.2"])  # the second answer is not allowed

        def resolve(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(replies), server.server_port))]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with pytest.raises(TargetRefused, match="no public address"):
            fetched(f"http://clips.example:{server.server_port}/clip")

    assert len(server.requests) == 1


def test_a_name_that_is_rebound_after_the_check_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[str] = []

    def connect(_: socket.socket, address: tuple[str, int]) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    replies = iter(["8.8.8.8"])

    def resolve(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(replies, "127.0.0.1"), 80))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(TargetUnreachable, match="refused"):
        fetched("http://rebinding.example/clip", rules=Rules(http=True))

    assert connected == ["8.8.8.8"]


def missing(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(404)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def page(handler: BaseHTTPRequestHandler) -> None:
    sound(handler, content_type="text/html; charset=utf-8")


def untyped(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()


def large(handler: BaseHTTPRequestHandler) -> None:
    sound(handler, body=b"x" * 1001)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "audio/mpeg")
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


def packed(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "audio/mpeg")
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (missing, "status 404"),
        (page, "content type is 'text/html'; audio/, application/ogg are taken"),
        (untyped, "content type is ''"),
        (large, "1001 bytes; 1000 are the most"),
        (endless, "more than 1000 bytes"),
        (packed, "compressed"),
    ],
)
def test_what_is_not_wanted_is_not_taken(answer: Answer, says: str) -> None:
    with serving(answer) as server, pytest.raises(UnwantedAnswer, match=says):
        fetched(at(server))


def test_as_much_as_is_allowed_is_taken() -> None:
    with serving(lambda handler: sound(handler, body=b"x" * 1000)) as server:
        assert fetched(at(server)) == b"x" * 1000


def test_what_ends_too_early_is_not_taken_for_the_file() -> None:
    def half(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "audio/mpeg")
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"x" * 50)

    with serving(half) as server, pytest.raises(TargetUnreachable, match="before its end"):
        fetched(at(server))


def dripping(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "audio/mpeg")
    handler.end_headers()
    for _ in range(40):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def slow_redirects(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(0.2)
    leading_to("/clip")(handler)


@pytest.mark.parametrize("answer", [dripping, slow_redirects])
def test_who_is_slow_is_left_in_time(answer: Answer) -> None:
    with serving(answer) as server:
        started = time.monotonic()
        with pytest.raises(TargetUnreachable, match="in time"):
            fetched(at(server), seconds=0.3)

        assert time.monotonic() - started < 1.5
