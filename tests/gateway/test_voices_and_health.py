"""What the engine offers, and how the gateway does."""

from tests.gateway.conftest import World


def test_voices_and_what_is_missing(world: World) -> None:
    voices = world.client.get("/v1/voices").json()

    assert [voice["id"] for voice in voices["voices"]] == ["hum", "buzz"]
    assert voices["default"] == "hum"
    assert (voices["controls"], voices["blends"]) == (["pitch_shift"], True)
    assert voices["missing"] == [{"id": "absent", "reason": "its program is not installed"}]


def test_emotions(world: World) -> None:
    assert world.client.get("/v1/emotions").json() == {"emotions": ["neutral", "happy"], "free_text": False}


def test_healthz_needs_nobody(world: World) -> None:
    world.queue.refuses = True

    assert world.client.get("/healthz").status_code == 200


def test_readyz_names_what_is_away(world: World) -> None:
    assert world.client.get("/readyz").json()["checks"] == dict.fromkeys(("redis", "broker", "s3", "voices"), "ok")
    world.queue.refuses = True
    world.objects.outages = 1

    answer = world.client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["redis"] == "ok"
    assert "switched off" in answer.json()["checks"]["broker"]
    assert "switched off" in answer.json()["checks"]["s3"]


def test_metrics_count_requests_by_route_and_show_the_lanes(world: World) -> None:
    world.client.get(f"/v1/jobs/{world.submit()}")

    metrics = world.client.get("/metrics").text

    assert 'emotivoice_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="200"}' in metrics
    assert 'emotivoice_lane_waiting{lane="interactive"} 1.0' in metrics


def test_openapi_has_an_example_of_a_job(world: World) -> None:
    schema = world.client.get("/openapi.json").json()

    assert schema["components"]["schemas"]["JobRequest"]["examples"][0]["emotion"] == "happy"
