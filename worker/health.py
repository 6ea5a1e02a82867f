"""A worker's health, told by an HTTP thread in its main process."""

import json
import time

from prometheus_client import CONTENT_TYPE_LATEST

from worker.metrics import exposition

STALE_SECONDS = 30.0  # the event loop ticks five times a second; half a minute of silence is a hang


class Health:
    """What the event loop tells and the HTTP thread reads."""

    def __init__(self) -> None:
        self.draining = False
        self.was_ready = False
        self.loaded = False  # the engine was loaded and warmed up once
        self._consuming = False
        self._ticked_at: float | None = None

    def tick(self) -> None:
        self._ticked_at = time.monotonic()

    def disconnected(self) -> None:
        """The loop stands still until the broker is back: that is no reason to restart the process."""
        self._ticked_at = None
        self._consuming = False

    def consuming(self, on: bool) -> None:
        self._consuming = on
        self.was_ready = self.was_ready or on

    @property
    def live(self) -> bool:
        """The loop runs; or it has not begun, because the engine still loads or the broker is away."""
        return self._ticked_at is None or time.monotonic() - self._ticked_at < STALE_SECONDS

    @property
    def ready(self) -> bool:
        return self._consuming and not self.draining

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return status, content type and body."""
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, exposition()
        states = {"/startupz": self.loaded, "/livez": self.live, "/readyz": self.ready}
        if path not in states:
            return 404, "application/json", b'{"paths": ["/startupz", "/livez", "/readyz", "/metrics"]}'
        facts = {"ok": states[path], "consuming": self._consuming, "draining": self.draining}
        return 200 if states[path] else 503, "application/json", json.dumps(facts).encode()
