"""What answers tell a browser, and whose scripts may read them."""

import pytest

from gateway.settings import GatewaySettings
from tests.gateway.conftest import World, world_with

SITE, OTHER = "https://reader.example", "https://other.example"


@pytest.mark.parametrize("path", ["/v1/voices", "/v1/jobs/none", "/healthz", "/nowhere"])
def test_every_answer_is_kept_from_being_taken_for_a_page(world: World, path: str) -> None:
    headers = world.client.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_the_pages_for_people_may_load_what_they_need(world: World) -> None:
    assert world.client.get("/docs").headers["Content-Security-Policy"] == "frame-ancestors 'none'"


def test_without_the_setting_no_site_may_read(world: World) -> None:
    assert "Access-Control-Allow-Origin" not in world.client.get("/v1/voices", headers={"Origin": SITE}).headers


def test_a_site_that_is_named_may_submit_and_read() -> None:
    with world_with(GatewaySettings(cors_origins=f"{SITE} https://b.example")) as world:
        asks = {
            "Origin": SITE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        assert world.client.options("/v1/jobs", headers=asks).headers["Access-Control-Allow-Origin"] == SITE
        answer = world.client.post("/v1/jobs", json={"text": "Hello"}, headers={"Origin": SITE})
        assert answer.headers["Access-Control-Allow-Origin"] == SITE
        assert "Location" in answer.headers["Access-Control-Expose-Headers"]

        stranger = world.client.get("/v1/voices", headers={"Origin": OTHER})
        assert "Access-Control-Allow-Origin" not in stranger.headers
