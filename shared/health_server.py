"""A process tells of its health over HTTP, from a thread of its own."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol


class Answers(Protocol):
    """Who knows what to say."""

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return status, content type and body."""
        ...


def serve(health: Answers, *, host: str, port: int) -> ThreadingHTTPServer:
    """Serve in a daemon thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content_type, body = health.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes are not worth a line each."""

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
