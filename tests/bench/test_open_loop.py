"""Posts at given times, to a server that takes its time."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.open_loop import OpenLoop, Post
from cli.stack.probes import LOOPBACK, free_ports
from tests.waiting import wait_for

SLOW_SECONDS = 0.5


class Server(ThreadingHTTPServer):
    """Answers 202 with what it was sent; 503 to one that is to be refused."""

    daemon_threads = True
    seconds = 0.0
    connections = 0

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/v1/jobs"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self._server.connections += 1

    @property
    def _server(self) -> Server:
        assert isinstance(self.server, Server)
        return self.server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self._server.seconds)
        self.send_response(503 if "refused" in json.loads(body) else 202)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server((LOOPBACK, 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_posts_do_not_wait_for_the_answers_of_those_before(server: Server) -> None:
    server.seconds = SLOW_SECONDS
    posts = [Post(number / 100, {"number": number}) for number in range(20)]
    started = time.monotonic()

    with OpenLoop(server.url, posts) as loop:
        loop.start(started)
        wait_for(lambda: loop.over)

    assert time.monotonic() - started < 20 * SLOW_SECONDS / 2  # one after another they take twice as long
    assert [answer.body["number"] for answer in loop.answers if answer] == list(range(20))
    assert all(answer.seconds >= SLOW_SECONDS for answer in loop.answers if answer)


def test_a_post_that_finds_no_connection_is_late_and_says_so(server: Server) -> None:
    server.seconds = SLOW_SECONDS

    with OpenLoop(server.url, [Post(0, {}), Post(0, {})], connections=1) as loop:
        loop.start(time.monotonic())
        wait_for(lambda: loop.over)

    late = [answer.late_seconds for answer in loop.answers if answer]
    assert late[1] >= SLOW_SECONDS > late[0]


def test_a_connection_is_kept_for_the_next_post(server: Server) -> None:
    with OpenLoop(server.url, [Post(0, {}), Post(0.05, {})], connections=1) as loop:
        loop.start(time.monotonic())
        wait_for(lambda: loop.over)

    assert server.connections == 1


def test_a_refusal_is_an_answer(server: Server) -> None:
    with OpenLoop(server.url, [Post(0, {}), Post(0, {"refused": True})]) as loop:
        loop.start(time.monotonic())
        wait_for(lambda: loop.over)

    assert [answer.status for answer in loop.answers if answer] == [202, 503]


def test_a_server_that_is_away_is_no_answer() -> None:
    with OpenLoop(f"http://{LOOPBACK}:{free_ports(1)[0]}/", [Post(0, {})]) as loop:
        loop.start(time.monotonic())
        wait_for(lambda: loop.over)

    assert [answer.status for answer in loop.answers if answer] == [0]


def test_what_is_left_is_not_posted_at_the_end_of_the_context(server: Server) -> None:
    with OpenLoop(server.url, [Post(0, {}), Post(3600, {})]) as loop:
        loop.start(time.monotonic())
        wait_for(lambda: loop.answers[0])

    assert loop.over
    assert loop.answers[1] is None
