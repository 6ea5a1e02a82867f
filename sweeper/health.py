"""The sweeper's health: whether it moves, and whether it could begin its latest round."""

import json
import time
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

STALE_SECONDS = 600.0  # a call to a server that is away returns within five minutes, whichever it is


class Health:
    """What the sweeping thread tells and the HTTP thread reads."""

    def __init__(self, *, sweep_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest_silence = STALE_SECONDS + sweep_seconds
        self._clock = clock
        self._moved_at = clock()
        self._began = False

    def moved(self) -> None:
        self._moved_at = self._clock()

    def began(self, ok: bool) -> None:
        """Tell whether Redis answered at the start of a round: to work or to stand by."""
        self._began = ok

    @property
    def live(self) -> bool:
        return self._clock() - self._moved_at < self._longest_silence

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return status, content type and body."""
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest()
        states = {"/livez": self.live, "/readyz": self._began}
        if path not in states:
            return 404, "application/json", b'{"paths": ["/livez", "/readyz", "/metrics"]}'
        return 200 if states[path] else 503, "application/json", json.dumps({"ok": states[path]}).encode()
