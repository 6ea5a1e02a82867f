"""What a worker tells of its health, over real HTTP."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from shared.health_server import serve
from worker import health as module
from worker.health import Health


@dataclass
class Served:
    """A health that is told over HTTP."""

    health: Health
    url: str

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, json.load(answer)


@pytest.fixture
def served() -> Iterator[Served]:
    health = Health()
    server = serve(health, host="127.0.0.1", port=0)
    yield Served(health, f"http://127.0.0.1:{server.server_address[1]}")
    server.shutdown()
    server.server_close()


def test_a_worker_that_loads_is_alive_but_not_ready(served: Served) -> None:
    assert served.get("/livez")[0] == 200
    assert served.get("/readyz") == (503, {"ok": False, "consuming": False, "draining": False})


def test_a_worker_has_started_when_its_engine_is_loaded_whether_or_not_the_broker_is_there(served: Served) -> None:
    assert served.get("/startupz")[0] == 503

    served.health.loaded = True
    assert (served.get("/startupz")[0], served.get("/readyz")[0]) == (200, 503)


def test_a_worker_that_consumes_is_ready(served: Served) -> None:
    served.health.consuming(True)

    assert served.get("/readyz") == (200, {"ok": True, "consuming": True, "draining": False})


def test_a_worker_that_drains_is_not_ready(served: Served) -> None:
    served.health.consuming(True)
    served.health.draining = True

    assert served.get("/readyz")[0] == 503
    assert served.get("/livez")[0] == 200


def test_an_event_loop_that_hangs_is_not_alive(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.health.tick()
    assert served.get("/livez")[0] == 200

    monkeypatch.setattr(module, "STALE_SECONDS", 0.0)
    assert served.get("/livez")[0] == 503


def test_other_paths_are_told_apart(served: Served) -> None:
    assert served.get("/")[0] == 404
