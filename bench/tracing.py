"""What the spans of a short job cost: switched off, and on with a collector that takes them.

python -m bench.tracing
"""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median

from shared import tracing
from shared.settings import SharedSettings

JOBS, ROUNDS = 2000, 5
SUBMITTER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def work_on_a_job() -> None:
    """The spans of a worker, with nothing in them."""
    with tracing.processing("tts.interactive", "job:0", sender=SUBMITTER, submitter=SUBMITTER) as span:
        span.note({"emotivoice.job_id": "job", "emotivoice.step": "0", "emotivoice.tenant": "default"})
        tracing.current().note({"emotivoice.attempt": 1, "emotivoice.wait_seconds": 0.1})
        with tracing.span("synthesize", {"emotivoice.utterances": 1, "emotivoice.characters": 20}) as engine:
            engine.note({"emotivoice.engine_seconds": 0.2, "emotivoice.batch": 1})
        with tracing.span("encode", {"emotivoice.format": "wav"}):
            pass
        with tracing.calling_s3("PutObject", "emotivoice", "audio/key.wav"):
            pass
        span.note({"emotivoice.outcome": "done"})


def microseconds(do: Callable[[], None]) -> float:
    """Return the median of a few rounds, for one call."""
    rounds: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(JOBS):
            do()
        rounds.append((time.perf_counter() - began) / JOBS * 1e6)
    return median(rounds)


class Takes(BaseHTTPRequestHandler):
    """Reads what comes, and throws it away."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    print(f"off: {microseconds(work_on_a_job):6.1f} µs a job")
    with ThreadingHTTPServer(("127.0.0.1", 0), Takes) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        tracing.start(SharedSettings(otlp_endpoint=f"http://127.0.0.1:{collector.server_port}"), "worker")
        print(f"on:  {microseconds(work_on_a_job):6.1f} µs a job, four spans, sending them included")
        tracing.stop()
        collector.shutdown()


if __name__ == "__main__":
    main()
