"""What the client does with the gateway's answers, and without them."""

import io

import httpx
import pytest

from cli.client import Client
from cli.errors import ApiError, GatewayUnreachable, InvalidToken, InvalidUrl
from tests.cli.fake_gateway import AUDIO, FakeGateway, job_status, problem


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def pauses() -> list[float]:
    """What the client slept."""
    return []


@pytest.fixture
def client(gateway: FakeGateway, pauses: list[float]) -> Client:
    return Client("http://gateway:8080", transport=httpx.MockTransport(gateway), sleep=pauses.append)


def test_a_submit_sends_what_was_given_and_leaves_the_rest_to_the_gateway(client: Client, gateway: FakeGateway) -> None:
    assert client.submit(text="Hello", voice=None, speed=1.5)["state"] == "queued"

    assert list(gateway.submitted.values()) == [{"text": "Hello", "speed": 1.5}]


def test_a_submit_waits_for_a_gateway_that_is_short_of_something(
    client: Client, gateway: FakeGateway, pauses: list[float]
) -> None:
    gateway.outages, gateway.retry_after = 2, "5"

    client.submit(text="Hello")

    assert pauses == [5, 5]
    assert len(gateway.submitted) == 1


def test_a_submit_whose_answer_was_lost_makes_one_job(client: Client, gateway: FakeGateway) -> None:
    client.voices()
    gateway.losses = 1

    client.submit(text="Hello")

    assert len([request for request in gateway.requests if request.method == "POST"]) == 2
    assert len(gateway.submitted) == 1


def test_two_submits_make_two_jobs(client: Client, gateway: FakeGateway) -> None:
    client.submit(text="Hello")
    client.submit(text="Hello")

    assert len(gateway.submitted) == 2


def test_patience_ends(client: Client, gateway: FakeGateway, pauses: list[float]) -> None:
    gateway.outages, gateway.retry_after = 1000, "25"

    with pytest.raises(ApiError) as raised:
        client.submit(text="Hello")

    assert raised.value.status == 503
    assert sum(pauses) == 50


def test_a_refusal_keeps_its_code_and_sentence(client: Client, gateway: FakeGateway) -> None:
    gateway.refusal = problem(422, "unknown_voice", "there is no voice 'x'; nearest: anna", {})

    with pytest.raises(ApiError, match="nearest: anna") as raised:
        client.submit(text="Hello", voice="x")

    assert (raised.value.status, raised.value.code) == (422, "unknown_voice")


def test_an_answer_from_something_else_is_told_as_it_is(client: Client, gateway: FakeGateway) -> None:
    gateway.refusal = httpx.Response(502, text="<html>\n bad  gateway</html>")

    with pytest.raises(ApiError, match=r"/v1/jobs answered 502 Bad Gateway: <html> bad gateway") as raised:
        client.submit(text="Hello")

    assert raised.value.code == "http_error"


def test_waiting_tells_every_change_once(client: Client) -> None:
    seen: list[str] = []

    assert client.wait("job-1", on_progress=lambda job: seen.append(job["state"]))["state"] == "succeeded"
    assert seen == ["queued", "running", "succeeded"]


def test_waiting_lets_the_gateway_wait_after_the_first_look(client: Client, gateway: FakeGateway) -> None:
    client.wait("job-1")

    assert ["wait" in request.url.params for request in gateway.requests] == [False, True, True]
    assert [request.headers.get("If-None-Match") for request in gateway.requests] == [None, 'W/"0"', 'W/"1"']


def test_waiting_goes_on_when_nothing_changed(client: Client, gateway: FakeGateway) -> None:
    gateway.life = ["running"]
    seen: list[str] = []

    def show(job: dict[str, str]) -> None:
        seen.append(job["state"])
        if len(seen) == 1:
            gateway.life = ["running", "running", "running", "failed"]

    assert client.wait("job-1", on_progress=show)["state"] == "failed"


def test_waiting_outlasts_a_restart_of_the_gateway(client: Client, gateway: FakeGateway) -> None:
    client.submit(text="Hello")
    gateway.losses = 3

    assert client.wait("job-1")["state"] == "succeeded"


def test_one_look_at_a_job_may_wait(client: Client, gateway: FakeGateway) -> None:
    client.job("job-1", wait=7)

    assert gateway.requests[0].url.params["wait"] == "7"


def test_a_job_that_is_not_there(client: Client) -> None:
    with pytest.raises(ApiError, match="there is no job") as raised:
        client.job("gone")

    assert raised.value.status == 404


def test_a_download_writes_the_audio(client: Client) -> None:
    target = io.BytesIO()

    assert client.download("job-1", target) == len(AUDIO)
    assert target.getvalue() == AUDIO


def test_a_download_follows_the_link_to_the_object_store() -> None:
    def redirecting(request: httpx.Request) -> httpx.Response:
        if request.url.host == "gateway":
            return httpx.Response(307, headers={"Location": "http://store:9000/bucket/key?signature=1"})
        return httpx.Response(200, content=AUDIO)

    target = io.BytesIO()
    Client("http://gateway", transport=httpx.MockTransport(redirecting)).download("job-1", target)

    assert target.getvalue() == AUDIO


def test_a_store_that_is_away_is_not_taken_for_the_gateway() -> None:
    def redirecting(request: httpx.Request) -> httpx.Response:
        if request.url.host == "gateway":
            return httpx.Response(307, headers={"Location": "http://store:9000/bucket/key"})
        raise httpx.ConnectError("connection refused", request=request)

    with pytest.raises(GatewayUnreachable, match=r"no answer from http://store:9000 \(connection refused\)"):
        Client("http://gateway", transport=httpx.MockTransport(redirecting)).download("job-1", io.BytesIO())


@pytest.mark.parametrize(("limit", "found"), [(150, 150), (1000, 250), (3, 3)])
def test_a_list_follows_its_pages(client: Client, gateway: FakeGateway, limit: int, found: int) -> None:
    gateway.listed = [job_status(f"job-{n}", "queued") for n in range(250)]

    assert [job["id"] for job in client.jobs(limit=limit)] == [f"job-{n}" for n in range(found)]


def test_a_list_can_be_of_one_state(client: Client, gateway: FakeGateway) -> None:
    gateway.listed = [job_status("a", "queued"), job_status("b", "failed")]

    assert [job["id"] for job in client.jobs(state="failed")] == ["b"]


def test_cancelling(client: Client) -> None:
    cancelled = client.cancel("job-1")

    assert cancelled is not None
    assert cancelled["state"] == "cancelled"


def test_cancelling_is_never_repeated_for_a_second_one_would_remove_the_job(
    client: Client, gateway: FakeGateway
) -> None:
    client.voices()
    gateway.losses = 1

    with pytest.raises(GatewayUnreachable):
        client.cancel("job-1")

    assert gateway.cancelled == ["job-1"]


def test_removing_a_finished_job(client: Client, gateway: FakeGateway) -> None:
    gateway.life = ["succeeded"]

    assert client.cancel("job-1") is None


def test_voices_and_emotions(client: Client) -> None:
    assert [voice["id"] for voice in client.voices()["voices"]] == ["anna"]
    assert client.emotions() == {"emotions": ["neutral", "happy"], "free_text": False}


def test_nothing_at_the_url_is_said_at_once_and_with_a_way_out(pauses: list[float]) -> None:
    client = Client("http://127.0.0.1:9", sleep=pauses.append)  # the discard port: nobody listens

    with client, pytest.raises(GatewayUnreachable, match=r"http://127.0.0.1:9 .*refused.*emotivoice up.*--url"):
        client.submit(text="Hello")

    assert pauses == []


@pytest.mark.parametrize("url", ["", "gateway:8080", "ftp://gateway", "http://", "http://[::1"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(InvalidUrl, match=r"should look like http://127\.0\.0\.1:8080"):
        Client(url)


def test_a_token_goes_to_the_gateway_and_no_further() -> None:
    """Audio may lie behind a link to the object store, which would refuse a second way to authenticate."""
    told: dict[str, str | None] = {}

    def answering(request: httpx.Request) -> httpx.Response:
        told[str(request.url)] = request.headers.get("Authorization")
        if request.url.port == 9000:
            return httpx.Response(200, content=AUDIO)
        return httpx.Response(307, headers={"Location": "http://host:9000/audio"})

    target = io.BytesIO()
    Client("http://host:8080", token="evk_1", transport=httpx.MockTransport(answering)).download("job-1", target)

    assert target.getvalue() == AUDIO
    assert told == {"http://host:8080/v1/jobs/job-1/audio": "Bearer evk_1", "http://host:9000/audio": None}


@pytest.mark.parametrize("token", ["evk_hush\n", "evk_hush hush", "evk_hüsh", "evk_hush\x00"])
def test_what_can_t_be_a_token_is_not_repeated(token: str) -> None:
    with pytest.raises(InvalidToken) as refused:
        Client("http://127.0.0.1:9", token=token)

    assert "evk_" not in str(refused.value)


def test_a_gateway_may_live_under_a_path() -> None:
    paths: list[str] = []

    def behind(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        return httpx.Response(200, json={})

    Client("http://host/tts/", transport=httpx.MockTransport(behind)).voices()

    assert paths == ["/tts/v1/voices"]
