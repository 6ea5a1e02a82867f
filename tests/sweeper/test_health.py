"""What a sweeper tells of its health. That it is told over HTTP is shown with real processes."""

import json

from sweeper.health import STALE_SECONDS, Health


def status(health: Health, path: str) -> int:
    return health.answer(path)[0]


def test_a_sweeper_is_ready_when_redis_has_answered() -> None:
    health = Health(sweep_seconds=0)
    assert status(health, "/readyz") == 503

    health.began(True)
    assert status(health, "/readyz") == 200
    assert json.loads(health.answer("/readyz")[2]) == {"ok": True}

    health.began(False)
    assert status(health, "/readyz") == 503


def test_a_sweeper_that_stands_still_is_not_alive() -> None:
    now = 0.0
    health = Health(sweep_seconds=20, clock=lambda: now)

    now = STALE_SECONDS + 19
    assert status(health, "/livez") == 200
    now += 2
    assert status(health, "/livez") == 503

    health.moved()
    assert status(health, "/livez") == 200


def test_its_metrics_are_told() -> None:
    assert b"emotivoice_dead_letters" in Health(sweep_seconds=0).answer("/metrics")[2]


def test_other_paths_are_told_apart() -> None:
    assert status(Health(sweep_seconds=0), "/") == 404
