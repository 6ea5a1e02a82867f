"""The face of `emotivoice init`, and its calls of RabbitMQ's management API. The rest: tests/integration."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cli import init, main
from cli.broker_admin import CHANGED, CREATED, THERE, AdminRefused, AdminUnreachable, BrokerAdmin
from shared import topology
from shared.topology import Account, Policy, account, policies, rights

URL = "http://admin:se%2Fcret@rabbit:15672"
SERVICE = Account("service", "p@ss", "/")


class FakeBroker:
    """The management API as a dict of paths. `answer` is what it says instead."""

    def __init__(self) -> None:
        self.things: dict[str, dict[str, Any]] = {}
        self.written: list[str] = []
        self.answer: Callable[[], httpx.Response] | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.answer:
            return self.answer()
        assert request.headers["Authorization"] == f"Basic {base64.b64encode(b'admin:se/cret').decode()}"
        path = request.url.raw_path.decode().removeprefix("/api/")
        if request.method == "GET":
            return httpx.Response(200, json=self.things[path]) if path in self.things else httpx.Response(404)
        self.written.append(path)
        self.things[path] = json.loads(request.content)
        return httpx.Response(201)


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def admin(broker: FakeBroker) -> Iterator[BrokerAdmin]:
    admin = BrokerAdmin(URL, transport=httpx.MockTransport(broker))
    yield admin
    admin.close()


def test_help_names_the_variables_and_the_defaults_are_those_of_the_topology() -> None:
    text = CliRunner().invoke(main.app, ["init", "--help"]).stdout

    assert "EMOTIVOICE_BROKER_URL" in text
    assert "EMOTIVOICE_BROKER_ADMIN_URL" in text
    assert "EMOTIVOICE_S3_BUCKET" in text
    ours = (init.LANE_MESSAGES, init.DEAD_MESSAGES, init.DEAD_DAYS)
    assert ours == (topology.LANE_MESSAGES, topology.DEAD_MESSAGES, topology.DEAD_DAYS)


def test_over_redis_there_is_nothing_to_administer() -> None:
    environment = {"EMOTIVOICE_BROKER_URL": "redis://127.0.0.1:6379/1"}

    result = CliRunner().invoke(main.app, ["init", "--admin-url", URL], env=environment)

    assert result.exit_code == 2
    assert "messages travel through Redis" in result.stderr


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("amqp://", Account("guest", "guest", "/")),
        ("amqp://a:b@host:5672//", Account("a", "b", "/")),
        ("amqp://a:b@host:5672/", Account("a", "b", "/")),
        ("amqp://a:p%40ss@host/shop", Account("a", "p@ss", "shop")),
        ("amqps://a:b@host/%2Fshop", Account("a", "b", "/shop")),
    ],
)
def test_the_service_is_whom_its_url_names(url: str, found: Account) -> None:
    assert account(url) == found


def test_what_is_made_is_there_the_next_time(broker: FakeBroker, admin: BrokerAdmin) -> None:
    policy = Policy("tts-lanes", "^tts$", {"max-length": 5})

    for expected in (CREATED, THERE):
        assert admin.ensure_vhost("/") == expected
        assert admin.ensure_rights(SERVICE, "^tts$") == expected
        assert admin.ensure_policy("/", policy) == expected
    assert broker.written == ["vhosts/%2F", "permissions/%2F/service", "policies/%2F/tts-lanes"]
    assert broker.things["permissions/%2F/service"] == {"configure": "^tts$", "write": "^tts$", "read": "^tts$"}
    assert admin.ensure_policy("/", Policy("tts-lanes", "^tts$", {"max-length": 6})) == CHANGED


@pytest.mark.parametrize("name", ["sha256", "sha512"])
def test_a_password_is_known_by_its_hash(broker: FakeBroker, admin: BrokerAdmin, name: str) -> None:
    salted = b"salt" + hashlib.new(name, b"saltp@ss").digest()
    hashed = {"password_hash": base64.b64encode(salted).decode(), "tags": ["monitoring", "policymaker"]}
    broker.things["users/service"] = {"hashing_algorithm": f"rabbit_password_hashing_{name}", **hashed}

    assert admin.ensure_user(SERVICE) == THERE
    assert admin.ensure_user(Account("service", "another", "/")) == CHANGED
    assert broker.things["users/service"] == {"password": "another", "tags": "monitoring,policymaker"}


@pytest.mark.parametrize("known", [{"hashing_algorithm": "md5", "password_hash": ""}, {"password_hash": "no base64!"}])
def test_a_password_that_cannot_be_compared_is_set_again(
    broker: FakeBroker, admin: BrokerAdmin, known: dict[str, str]
) -> None:
    broker.things["users/service"] = {"tags": "", **known}

    assert admin.ensure_user(SERVICE) == CHANGED


def test_what_is_refused_is_told(broker: FakeBroker, admin: BrokerAdmin) -> None:
    broker.answer = lambda: httpx.Response(400, text="not a policy")
    with pytest.raises(AdminRefused, match=r"http://rabbit:15672 refuses GET vhosts/shop \(400: not a policy\)"):
        admin.ensure_vhost("shop")
    broker.answer = lambda: httpx.Response(401)
    with pytest.raises(AdminRefused, match="refuses the user 'admin'"):
        admin.ensure_vhost("shop")


def test_a_server_that_is_not_up_yet_may_be_asked_again(broker: FakeBroker, admin: BrokerAdmin) -> None:
    broker.answer = lambda: httpx.Response(503)
    with pytest.raises(AdminUnreachable, match="answers 503"):
        admin.ensure_vhost("shop")

    def away() -> httpx.Response:
        raise httpx.ConnectError("refused")

    broker.answer = away
    with pytest.raises(AdminUnreachable, match=r"no answer .* \(refused\)"):
        admin.ensure_vhost("shop")


@pytest.mark.parametrize("url", ["rabbit:15672", "amqp://a:b@rabbit", "http://rabbit:15672", "http://"])
def test_an_address_without_what_is_needed_is_refused(url: str) -> None:
    with pytest.raises(AdminRefused, match="an address like"):
        BrokerAdmin(url)


def test_the_rights_are_for_our_names_only() -> None:
    pattern = re.compile(rights())
    for ours in (
        "tts",
        "tts.dlx",
        "tts.dead",
        "tts.bulk",
        "celery_delayed_0",
        "celery_delayed_27",
        "celery_delayed_delivery",
    ):
        assert pattern.search(ours)
    for foreign in ("", "amq.topic", "ttsx", "tts_bulk", "tts.other", "my.tts.bulk", "celery", "celery_delayed_x"):
        assert not pattern.search(foreign)


def test_a_policy_only_bounds() -> None:
    """Whether a message can be lost is decided by the arguments of its queue, which no policy displaces."""
    lanes, dead = policies(lane_messages=1, dead_messages=2, dead_days=3)

    assert lanes.definition == {"max-length": 1}
    assert set(dead.definition) == {"max-length", "max-length-bytes", "overflow", "message-ttl"}
