"""The protocol of `WS /v1/stream`, on in-memory ports: every job is spoken at once, by half a second of a ramp."""

import base64
import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import anyio
import numpy as np
import pytest
from starlette.testclient import WebSocketDenialResponse, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from gateway import stream_session
from gateway.settings import GatewaySettings
from shared.errors import QuotaExceeded, ReaderTooSlow
from shared.jobs import Failure, JobState
from shared.limits import Quota
from shared.live import LivePiece
from tests.gateway.conftest import World, world_with
from tests.tokens import SECRET, by_secret
from tests.waiting import wait_for

RATE = 16_000
SPOKEN = LivePiece(0, np.arange(RATE // 2, dtype="<i2").tobytes(), RATE, last=True)

Json = dict[str, Any]


class Client:
    """Sends what a writer sends, and keeps what comes."""

    def __init__(self, socket: WebSocketTestSession) -> None:
        self._socket = socket
        self.audio = b""
        self.events: list[Json] = []
        self.closed = 0

    def send(self, kind: str, **fields: object) -> None:
        self._socket.send_text(json.dumps({"type": kind, **fields}))

    def until(self, kind: str) -> Json:
        """Receive up to a message of this type."""
        while True:
            message = self._socket.receive()
            if message["type"] == "websocket.close":
                self.closed = message["code"]
                raise WebSocketDisconnect(message["code"])
            self.audio += message.get("bytes") or b""
            if message.get("text"):
                self.events.append(json.loads(message["text"]))
                if self.events[-1]["type"] == kind:
                    return self.events[-1]

    def code(self) -> int:
        """Receive up to the end; return the close code."""
        with pytest.raises(WebSocketDisconnect):
            self.until("nothing of this type")
        return self.closed

    def of(self, kind: str) -> list[Json]:
        return [one for one in self.events if one["type"] == kind]


@contextmanager
def stream(world: World, headers: dict[str, str] | None = None, **start: object) -> Generator[Client]:
    world.live.usual = world.live.usual or [SPOKEN]
    with world.client.websocket_connect("/v1/stream", headers=headers or {}) as socket:
        client = Client(socket)
        if start.pop("begin", True):
            client.send("start", **{"sample_rate": RATE, **start})
        yield client


def refused(world: World, **options: Any) -> WebSocketDenialResponse:
    with pytest.raises(WebSocketDenialResponse) as denied, world.client.websocket_connect("/v1/stream", **options):
        pass
    return denied.value


def test_text_becomes_audio_in_its_order(world: World) -> None:
    with stream(world, voice="buzz", seed=7) as client:
        for delta in ("Good ", "morn", "ing. How ", "are you? 今天", "天气好。"):
            client.send("text", text=delta)
        client.send("end")
        done = client.until("done")
        assert client.code() == 1000

    texts = [segment["text"] for segment in client.of("segment")]
    requests = [world.records.requests[segment["job"]] for segment in client.of("segment")]
    assert client.events[0] == {"type": "started", "format": "pcm", "sample_rate": RATE}
    assert "".join(texts) == "Good morning. How are you? 今天天气好。"
    assert [request.text for request in requests] == texts
    assert {(request.voice, request.seed, request.format) for request in requests} == {("buzz", 7, "flac")}
    assert all(world.records.jobs[segment["job"]].stream for segment in client.of("segment"))
    assert done["usage"] == {"characters": 33, "audio_seconds": pytest.approx(len(client.audio) / 2 / RATE)}


def test_pauses_stand_between_pieces_and_not_behind_the_last(world: World) -> None:
    with stream(world) as client:
        client.send("text", text="One. ")
        client.send("text", text="Two.")
        client.send("flush")
        client.until("flushed")
        client.send("text", text="Three")
        client.send("end")
        client.until("done")

    pieces = len(client.of("segment"))
    first = client.of("segment")[0]
    assert len(client.audio) / 2 / RATE == pytest.approx(pieces * 0.5 + (pieces - 1) * 0.45, abs=0.001)
    assert (first["segment"], first["start_seconds"]) == (0, 0)
    assert client.of("segment")[1]["start_seconds"] == 0.95


def test_a_writer_who_pauses_is_heard_so_far(world: World) -> None:
    with stream(world, wait_seconds=0.1) as client:
        client.send("text", text="And then I")

        assert client.until("segment")["text"] == "And then I"


def test_audio_may_come_as_json(world: World) -> None:
    with stream(world, audio="base64", format="wav") as client:
        client.send("text", text="Hello.")
        client.send("end")
        client.until("done")

    body = b"".join(base64.b64decode(one["audio"]) for one in client.of("audio"))
    assert not client.audio
    assert (body[:4], len(body)) == (b"RIFF", 44 + RATE)


def test_what_cannot_be_spoken_is_told_and_the_stream_goes_on(world: World) -> None:
    with stream(world) as client:
        client.send("text", text="A bell:\a. And ")
        client.send("flush")
        client.send("text", text="more.")
        client.send("end")
        client.until("done")

    (warning,) = client.of("warning")
    assert (warning["code"], warning["segment"], warning["status"]) == ("control_character", 0, 422)
    assert "bell" in warning["text"]
    assert [one["text"] for one in client.of("segment")] == ["more."]


def test_what_a_job_left_out_is_told(world: World) -> None:
    with stream(world) as client:
        client.send("text", text="Hello ☺")
        client.send("end")
        world.succeed(client.until("segment")["job"])
        client.until("done")

    assert [one["detail"] for one in client.of("warning")] == ["☺ was not spoken"]


def test_a_job_that_fails_ends_the_stream_with_its_error(world: World) -> None:
    world.live.failure = Failure("engine_failed", "it is broken")
    world.live.usual = [LivePiece(0, b"\0\0" * 800, RATE, last=False)]
    with stream(world) as client:
        client.send("text", text="Hello.")
        client.send("flush")
        error = client.until("error")

        assert client.code() == 4500
    assert (error["code"], error["detail"], error["status"]) == ("engine_failed", "it is broken", 500)


WRONG: list[tuple[list[Any], str, int]] = [
    ([{"type": "text", "text": "Hello"}], "invalid_message", 4422),
    ([{"type": "start"}, {"type": "start"}], "invalid_message", 4422),
    ([{"type": "start"}, {"type": "sing"}], "invalid_message", 4422),
    ([{"type": "start"}, {"type": "text", "text": 5}], "invalid_message", 4422),
    ([{"type": "start", "speed": 9}], "invalid_message", 4422),
    ([{"type": "start", "loudness": 9}], "invalid_message", 4422),
    ([{"type": "start", "sample_rate": 1234}], "unsupported_sample_rate", 4422),
    ([{"type": "start", "voice": "nobody"}], "unknown_voice", 4422),
    ([{"type": "start", "emotion": "seasick"}], "unknown_emotion", 4422),
    ([{"type": "start"}, {"type": "text", "text": "x" * 1001}], "text_too_long", 4422),
    ([[]], "invalid_message", 4422),
    (["{"], "invalid_message", 4422),
]


@pytest.mark.parametrize(("messages", "code", "closed"), WRONG, ids=lambda one: str(one)[:60])
def test_a_wrong_message_is_an_error_that_does_not_repeat_it(
    world: World, messages: list[Any], code: str, closed: int
) -> None:
    with world.client.websocket_connect("/v1/stream") as socket:
        client = Client(socket)
        world.live.usual = []
        for message in messages:
            socket.send_text(message if isinstance(message, str) else json.dumps(message))
        error = client.until("error")

        assert (error["code"], client.code()) == (code, closed)


def test_a_binary_message_means_nothing(world: World) -> None:
    with world.client.websocket_connect("/v1/stream") as socket:
        socket.send_bytes(b"Hello")

        assert Client(socket).until("error")["code"] == "invalid_message"


def test_a_stream_that_nobody_uses_is_closed() -> None:
    with world_with(GatewaySettings(stream_idle_seconds=0.1)) as world, stream(world) as client:
        assert client.until("error")["code"] == "stream_idle"
        assert client.code() == 4408


def test_a_client_that_goes_has_its_jobs_cancelled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.speech.GRACE_SECONDS", 0.01)
    world.live.usual = [LivePiece(0, b"\0\0" * 800, RATE, last=False)]
    with stream(world) as client:
        client.send("text", text="One. Two. ")
        client.send("flush")
        job_id = client.until("segment")["job"]

    wait_for(lambda: world.records.jobs[job_id].state is JobState.CANCELLED)


def test_only_a_few_jobs_are_ahead_of_what_is_heard(world: World) -> None:
    world.live.usual = [LivePiece(0, b"\0\0" * 800, RATE, last=False)]  # the first never ends
    with stream(world) as client:
        for n in range(10):
            client.send("text", text=f"Number {n}.")
            client.send("flush")
        client.until("segment")
        wait_for(lambda: len(world.records.jobs) == stream_session.AHEAD)
        time.sleep(0.1)

        assert len(world.records.jobs) == stream_session.AHEAD


def test_a_tenant_has_so_many_streams() -> None:
    with world_with(GatewaySettings(streams_per_tenant=1)) as world:
        with stream(world):
            denied = refused(world)
            assert (denied.status_code, denied.json()["code"]) == (429, "too_many_streams")
            assert denied.headers["Retry-After"] == "5"
        wait_for(lambda: _opens(world))


def _opens(world: World) -> bool:
    try:
        with stream(world):
            return True
    except WebSocketDenialResponse:
        return False


@pytest.mark.parametrize(
    ("origin", "allowed", "let_in"),
    [
        ("http://testserver", "", True),
        ("https://a.example", "https://a.example https://b.example", True),
        ("https://a.example", "*", True),
        ("https://evil.example", "", False),
        ("https://evil.example", "https://a.example", False),
        ("null", "", False),
    ],
)
def test_a_page_of_another_site_is_refused(origin: str, allowed: str, let_in: bool) -> None:
    with world_with(GatewaySettings(cors_origins=allowed)) as world:
        if let_in:
            with stream(world, headers={"Origin": origin}) as client:
                assert client.until("started")
        else:
            assert refused(world, headers={"Origin": origin}).json()["code"] == "foreign_origin"


def test_a_page_sends_its_token_as_a_subprotocol() -> None:
    with world_with(GatewaySettings.model_validate({"jwt_secret": SECRET})) as world:
        good = by_secret(iss=None, aud=None, tenant="acme", scope="speech:write")
        reader = by_secret(iss=None, aud=None, tenant="acme", scope="jobs:read")

        def protocols(token: str) -> list[str]:
            return ["emotivoice.v1", f"bearer.{token}"]

        with world.client.websocket_connect("/v1/stream", subprotocols=protocols(good)) as socket:
            assert socket.accepted_subprotocol == "emotivoice.v1"
        assert refused(world, subprotocols=protocols(reader)).status_code == 403
        assert refused(world, subprotocols=protocols(good[:-2])).status_code == 401
        assert refused(world, subprotocols=["emotivoice.v1"]).status_code == 401
        assert refused(world, params={"token": good}).status_code == 401
        assert world.client.get("/v1/jobs", headers={"Sec-WebSocket-Protocol": f"bearer.{good}"}).status_code == 401


class Stuck:
    """A socket whose client writes, and takes no audio."""

    def __init__(self, *messages: Json) -> None:
        self._messages = list(messages)

    async def receive(self) -> Json:
        if not self._messages:
            await anyio.sleep_forever()
        return {"type": "websocket.receive", "text": json.dumps(self._messages.pop(0))}

    async def send_text(self, _: str) -> None:
        pass

    async def send_bytes(self, _: bytes) -> None:
        await anyio.sleep_forever()


def test_a_reader_who_takes_nothing_is_cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_session, "STALLED_SECONDS", 0.05)
    world.live.usual = [SPOKEN]
    socket: Any = Stuck({"type": "start"}, {"type": "text", "text": "Hello."}, {"type": "end"})
    services = cast(Any, world.client.app).state.services

    with pytest.raises(ReaderTooSlow):
        anyio.run(stream_session.Session(socket, services, tenant="default").run)


def test_a_tenant_of_one_job_at_a_time_waits_for_the_piece_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = world.jobs.create
    full = QuotaExceeded(Quota.JOBS, limit=1, used=1, wanted=1)
    refusals = [None, full, full, None]

    async def create_or_refuse(*arguments: Any, **options: Any) -> Any:
        if refusal := refusals.pop(0):
            raise refusal
        return await create(*arguments, **options)

    monkeypatch.setattr(world.jobs, "create", create_or_refuse)
    with stream(world) as client:
        for text in ("One.", "Two."):
            client.send("text", text=text)
            client.send("flush")
        client.send("end")
        client.until("done")

    assert [segment["text"] for segment in client.of("segment")] == ["One.", "Two."]
    assert not refusals


def test_a_quota_that_is_used_up_ends_the_stream(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any, **__: Any) -> Any:
        raise QuotaExceeded(Quota.CHARACTERS, limit=1, used=1, wanted=1)

    monkeypatch.setattr(world.jobs, "create", refuse)
    with stream(world) as client:
        client.send("text", text="One.")
        client.send("end")
        error = client.until("error")

        assert (error["code"], error["quota"], client.code()) == ("quota_exceeded", Quota.CHARACTERS, 4429)
