"""Tokens: which are believed, and which are not, by a secret and by an issuer's keys."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from gateway.auth import issuer_keys
from gateway.settings import GatewaySettings
from tests.gateway.conftest import World, world_with
from tests.tokens import AUDIENCE, ISSUER, SECRET, Issuer, by_secret, claims, ec_key, issuing, public, rsa_key, signed

BY_SECRET = GatewaySettings.model_validate(
    {"jwt_secret": SECRET, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "api_keys": True}
)


def by_keys(issuer: Issuer) -> GatewaySettings:
    return GatewaySettings(jwks_url=issuer.url, jwt_issuer=ISSUER, jwt_audience=AUDIENCE)


@pytest.fixture
def secret_world() -> Iterator[World]:
    with world_with(BY_SECRET) as world:
        yield world


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing(public(rsa_key()), public(ec_key(), "two")) as issuer:
        yield issuer


@pytest.fixture
def keys_world(issuer: Issuer) -> Iterator[World]:
    with world_with(by_keys(issuer)) as world:
        yield world


class Clock:
    """The time of the issuer's keys, which only a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(issuer_keys, "time", clock)
    return clock


def ask(world: World, token: str | None, path: str = "/v1/jobs") -> httpx2.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return world.client.get(path, headers=headers)


def refusal(answer: httpx2.Response) -> str:
    """Return why a request was refused as nobody's, told as RFC 6750 has it."""
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    detail = answer.json()["detail"]
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="emotivoice"')
    assert f'error_description="{detail}"' in challenge or challenge == 'Bearer realm="emotivoice"'
    return detail


def encoded(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def hand_made(header: object, payload: object, secret: bytes = b"") -> str:
    """Return a token as somebody may write it who uses no library."""
    signing_input = f"{encoded(header)}.{encoded(payload)}"
    signature = hmac.new(secret, signing_input.encode(), hashlib.sha256).digest() if secret else b""
    return f"{signing_input}.{encoded(signature)}"


def pem(key: str = "one") -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return rsa_key(key).public_key().public_bytes(serialization.Encoding.PEM, form)


def test_a_token_by_the_secret_is_believed(secret_world: World) -> None:
    answer = secret_world.client.post(
        "/v1/jobs", json={"text": "Hello"}, headers={"Authorization": f"Bearer {by_secret()}"}
    )

    assert answer.status_code == 202, answer.text
    assert secret_world.records.jobs[answer.json()["id"]].tenant == "acme"


@pytest.mark.parametrize("token", [lambda: signed(rsa_key()), lambda: signed(ec_key(), "two")], ids=["RS256", "ES256"])
def test_a_token_by_one_of_the_issuer_s_keys_is_believed(keys_world: World, token: Callable[[], str]) -> None:
    assert ask(keys_world, token()).status_code == 200


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer", "Bearer  "])
def test_the_scheme_s_case_does_not_matter(secret_world: World, scheme: str) -> None:
    assert secret_world.client.get("/v1/jobs", headers={"Authorization": f"{scheme} {by_secret()}"}).status_code == 200


NOW = int(time.time())
ATTACKS_BY_SECRET = {
    "nothing is sent": (None, "send a token or an API key"),
    "it has expired": (by_secret(exp=NOW - 60), "has expired"),
    "it never expires": (by_secret(exp=None), "lacks the claim exp"),
    "its time is no number": (by_secret(exp="soon"), "can't be read"),
    "it is for later": (by_secret(nbf=NOW + 3600), "not valid yet"),
    "it was issued in the future": (by_secret(iat=NOW + 3600), "not valid yet"),
    "it is from another issuer": (by_secret(iss="https://other.test/"), "another issuer"),
    "it names no issuer": (by_secret(iss=None), "lacks the claim iss"),
    "it is for another audience": (by_secret(aud="other"), "another audience"),
    "it is for nobody": (by_secret(aud=None), "lacks the claim aud"),
    "it has no tenant": (by_secret(tenant=None), "lacks the claim tenant"),
    "its tenant is no name": (by_secret(tenant="a b"), "no tenant's name"),
    "its tenant is no text": (by_secret(tenant=["acme"]), "no tenant's name"),
    "its tenant would leave its keys": (by_secret(tenant="a:jobs"), "no tenant's name"),
    "it is by another secret": (by_secret("another secret, which is just as long as it"), "signature is wrong"),
    "it is unsigned": (hand_made({"alg": "none", "typ": "JWT"}, claims()), "algorithm"),
    "it says none otherwise": (hand_made({"alg": "NonE"}, claims()), "algorithm"),
    "it says no algorithm": (hand_made({"typ": "JWT"}, claims(), SECRET.encode()), "algorithm"),
    "it is by another HMAC": (by_secret(SECRET * 2, "HS512"), "algorithm"),
    "it is by a key of its own": (signed(rsa_key(), headers={"jwk": public(rsa_key())}), "algorithm"),
    "it says what is critical": (hand_made({"alg": "HS256", "crit": ["x"], "x": 1}, claims(), SECRET.encode()), ""),
    "its signature is cut": (by_secret().rpartition(".")[0] + ".", "signature is wrong"),
    "it has two parts": (by_secret().rpartition(".")[0], "can't be read"),
    "its header is deep": (f"{encoded(b'[' * 5000)}.e30.AA", "can't be read"),
    "its header is a list": (hand_made([], {}), "can't be read"),
    "its payload is a list": (hand_made({"alg": "HS256"}, [], SECRET.encode()), "can't be read"),
    "it is huge": ("a" * 9000, "longer than"),
    "it is no token": ("hello", "can't be read"),
    "it is a key that nobody has": ("evk_" + "A" * 43, "API key is not known"),
    "it is a key of another form": ("evk_short", "API key is not known"),
}


@pytest.mark.parametrize("attack", ATTACKS_BY_SECRET)
def test_by_a_secret_nobody_is_let_in_when(secret_world: World, attack: str) -> None:
    token, why = ATTACKS_BY_SECRET[attack]

    assert why in refusal(ask(secret_world, token))


ATTACKS_BY_KEYS: dict[str, tuple[Callable[[], str], str]] = {
    "it is unsigned": (lambda: hand_made({"alg": "none", "kid": "one"}, claims()), "algorithm"),
    "the public key is its secret": (
        lambda: hand_made({"alg": "HS256", "kid": "one"}, claims(), pem()),
        "algorithm",
    ),
    "it names the other key": (lambda: signed(ec_key(), "one"), "algorithm"),
    "it names no key": (lambda: signed(rsa_key(), kid=None), "does not name its key"),
    "it names its key by a number": (lambda: hand_made({"alg": "RS256", "kid": 1}, claims()), "can't be read"),
    "it is by somebody else": (lambda: signed(rsa_key("somebody else")), "signature is wrong"),
    "it brings its own key": (
        lambda: signed(rsa_key("somebody else"), headers={"jwk": public(rsa_key("somebody else"))}),
        "signature is wrong",
    ),
    "it says where its key is": (
        lambda: signed(rsa_key("somebody else"), headers={"jku": "https://somebody.test/keys"}),
        "signature is wrong",
    ),
    "its key is not known": (lambda: signed(rsa_key(), "three"), "not one of the issuer's"),
    "it has expired": (lambda: signed(rsa_key(), exp=NOW - 60), "has expired"),
    "it is from another issuer": (lambda: signed(rsa_key(), iss="https://other.test/"), "another issuer"),
    "it is for another audience": (lambda: signed(rsa_key(), aud=["a", "b"]), "another audience"),
    "it is an API key, which are off": (lambda: "evk_" + "A" * 43, "API keys are not accepted"),
}


@pytest.mark.parametrize("attack", ATTACKS_BY_KEYS)
def test_by_the_issuer_s_keys_nobody_is_let_in_when(keys_world: World, attack: str) -> None:
    token, why = ATTACKS_BY_KEYS[attack]

    assert why in refusal(ask(keys_world, token()))


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer a b", "Bearer tökén", "Token abc", "Bearer a,b"],
)
def test_another_header_is_no_token(secret_world: World, given: str) -> None:
    answer = secret_world.client.get("/v1/jobs", headers=[(b"Authorization", given.encode("latin-1"))])

    assert "not of the form Bearer TOKEN" in refusal(answer)
    assert 'error="invalid_request"' in answer.headers["WWW-Authenticate"]


def test_of_two_headers_none_is_taken(secret_world: World) -> None:
    twice = [("Authorization", f"Bearer {by_secret()}"), ("Authorization", f"Bearer {by_secret(tenant='b')}")]

    assert "several" in refusal(secret_world.client.get("/v1/jobs", headers=twice))


def test_who_sends_nothing_is_told_no_error(secret_world: World) -> None:
    """RFC 6750, 3.1: a request without a token gets no error code."""
    assert ask(secret_world, None).headers["WWW-Authenticate"] == 'Bearer realm="emotivoice"'


def test_clocks_may_differ_a_little(secret_world: World) -> None:
    now = int(time.time())

    assert ask(secret_world, by_secret(exp=now - 20, nbf=now + 20, iat=now + 20)).status_code == 200


@pytest.mark.parametrize(
    "granted",
    [
        {"scope": "openid jobs:read  speech:write"},
        {"scope": ["jobs:read"]},
        {"scope": None, "scp": "jobs:read"},
        {"scope": None, "scp": ["jobs:read", "x"]},
        {"scope": "admin"},
    ],
)
def test_scopes_are_read_as_issuers_write_them(secret_world: World, granted: dict[str, Any]) -> None:
    assert ask(secret_world, by_secret(**granted)).status_code == 200


@pytest.mark.parametrize("granted", [None, "", "jobs:reader", "speech:write", 7, ["JOBS:READ", None], {"jobs:read": 1}])
def test_a_scope_that_is_missing_is_named(secret_world: World, granted: object) -> None:
    answer = ask(secret_world, by_secret(scope=granted))

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["scope"]) == (403, "forbidden", "jobs:read")
    assert 'error="insufficient_scope", scope="jobs:read"' in answer.headers["WWW-Authenticate"]


def test_the_tenant_may_stand_in_another_claim() -> None:
    settings = GatewaySettings.model_validate({"jwt_secret": SECRET, "jwt_tenant_claim": "sub"})
    with world_with(settings) as world:
        assert "lacks the claim sub" in refusal(ask(world, by_secret(aud=None)))
        assert ask(world, by_secret(aud=None, sub="client-7")).status_code == 200
        assert "another audience" in refusal(ask(world, by_secret(sub="client-7")))  # it is for somebody; for us?


def test_a_new_key_of_the_issuer_is_fetched_when_it_is_first_named(
    keys_world: World, issuer: Issuer, clock: Clock
) -> None:
    assert ask(keys_world, signed(rsa_key())).status_code == 200
    issuer.keys = [public(rsa_key("new"), "new")]
    clock.now += issuer_keys.AGAIN_SECONDS

    assert ask(keys_world, signed(rsa_key("new"), "new")).status_code == 200
    assert "not one of the issuer's" in refusal(ask(keys_world, signed(rsa_key())))


def test_a_storm_of_unknown_keys_asks_the_issuer_once(keys_world: World, issuer: Issuer, clock: Clock) -> None:
    for n in range(20):
        refusal(ask(keys_world, signed(rsa_key(), f"unknown-{n}")))
        assert ask(keys_world, signed(rsa_key())).status_code == 200

    assert len(issuer.asked) == 1


def test_a_key_that_was_withdrawn_is_refused_after_a_while(keys_world: World, issuer: Issuer, clock: Clock) -> None:
    assert ask(keys_world, signed(rsa_key())).status_code == 200
    issuer.keys = [public(ec_key(), "two")]
    clock.now += issuer_keys.KEPT_SECONDS + 1
    statuses = [
        ask(keys_world, signed(rsa_key())).status_code
    ]  # taken once more: it starts the fetch, and does not wait
    deadline = time.monotonic() + 10
    while statuses[-1] != 401 and time.monotonic() < deadline:
        statuses.append(ask(keys_world, signed(rsa_key())).status_code)

    assert set(statuses) == {200, 401}
    assert len(issuer.asked) == 2


BROKEN: dict[str, dict[str, Any]] = {
    "away": {"status": 503},
    "no JSON": {"body": b"<html>"},
    "no key set": {"body": b'{"keys": 7}'},
    "a list": {"body": b"[]"},
    "empty": {"keys": []},
    "too long": {"body": b" " * 2_000_000},
    "only a secret": {"keys": [{"kty": "oct", "kid": "one", "k": "AAAA", "alg": "HS256"}]},
    "only keys for encryption": {"keys": [public(rsa_key(), use="enc")]},
    "only keys without an id": {"keys": [public(rsa_key(), kid=None)]},
    "only weak keys": {"keys": [public(rsa_key("weak", 1024))]},
    "only broken keys": {"keys": [{"kty": "RSA", "kid": "one", "n": "!", "e": 3}, "key", {"kty": "EC", "kid": "x"}]},
}


@pytest.mark.parametrize("state", BROKEN)
def test_what_the_issuer_says_wrong_changes_no_key(keys_world: World, issuer: Issuer, clock: Clock, state: str) -> None:
    assert ask(keys_world, signed(rsa_key())).status_code == 200
    vars(issuer).update(BROKEN[state])
    clock.now += issuer_keys.KEPT_SECONDS + 1

    refusal(ask(keys_world, signed(rsa_key(), "unknown")))  # it waits for the fetch
    assert len(issuer.asked) == 2
    assert ask(keys_world, signed(rsa_key())).status_code == 200


def test_before_the_first_keys_nobody_can_be_told(keys_world: World, issuer: Issuer, clock: Clock) -> None:
    issuer.status = 500
    answer = ask(keys_world, signed(rsa_key()))
    assert (answer.status_code, answer.json()["code"]) == (503, "auth_unavailable")
    assert int(answer.headers["Retry-After"]) >= issuer_keys.AGAIN_SECONDS
    assert ask(keys_world, None).status_code == 401

    issuer.status = 200
    clock.now += issuer_keys.AGAIN_SECONDS
    assert ask(keys_world, signed(rsa_key())).status_code == 200


def test_requests_that_come_together_share_one_fetch_and_hold_nobody_up(issuer: Issuer) -> None:
    issuer.delay = 1.0

    async def together(world: World) -> tuple[list[int], float]:
        statuses, took = list[int](), 0.0
        transport = httpx.ASGITransport(world.client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:

            async def one() -> None:
                headers = {"Authorization": f"Bearer {signed(rsa_key())}"}
                statuses.append((await client.get("/v1/jobs", headers=headers)).status_code)

            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(one)
                await anyio.sleep(0.1)
                started = time.monotonic()
                assert (await client.get("/healthz")).status_code == 200
                took += time.monotonic() - started
        return statuses, took

    with world_with(by_keys(issuer)) as world:
        statuses, took = anyio.run(together, world)

    assert statuses == [200] * 10
    assert len(issuer.asked) == 1
    assert took < 0.5


def test_what_the_library_refuses_is_told_without_its_words(secret_world: World) -> None:
    """Its sentences may repeat what was sent."""
    token = hand_made({"alg": "HS256", "kid": "hush"}, b"not json", SECRET.encode())
    with pytest.raises(jwt.DecodeError):
        jwt.decode(token, SECRET, ["HS256"])

    assert refusal(ask(secret_world, token)) == "the token can't be read"
