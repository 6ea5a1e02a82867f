"""`emotivoice init`, on a real RabbitMQ with its management API, as its administrator and as the service's user."""

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import kombu
import pytest
from typer.testing import CliRunner, Result

from cli import main
from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import LOOPBACK, free_ports, http_ok
from cli.stack.process import Command, Process, wait_ready
from cli.stack.servers import LocalServers
from shared.errors import QueueUnavailable
from shared.jobs import Lane
from shared.queue import GatewayQueue, SweeperQueue, make_app, worker_queue
from tests.api import Api
from tests.engines import GATE
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

SENTENCE = "The quick brown fox jumps over the lazy dog, and then it sleeps until noon."
PASSWORD = "p/ass:w@rd"


class Broker:
    """A broker with an administrator, and how the service is to reach it: with a vhost and a user of its own."""

    def __init__(self, servers: LocalServers) -> None:
        assert servers.broker
        assert servers.broker.management_url
        self.servers = servers
        self.root_url = servers.broker.url
        administrator, management = urlsplit(self.root_url), servers.broker.management_url
        self.admin_url = management.replace("//", f"//{administrator.username}:{administrator.password}@")
        self.vhost = f"shop {uuid.uuid4().hex[:6]}"
        self.user = f"service-{uuid.uuid4().hex[:6]}"
        self.url = self.url_of(self.user, PASSWORD, self.vhost)
        self.api = httpx.Client(base_url=f"{self.admin_url}/api/", timeout=10, trust_env=False)

    def url_of(self, user: str, password: str, vhost: str) -> str:
        where = f"{LOOPBACK}:{urlsplit(self.root_url).port}"
        return f"amqp://{user}:{quote(password, safe='')}@{where}/{quote(vhost, safe='')}"

    def environment(self) -> dict[str, str]:
        return {**self.servers.environment(), "EMOTIVOICE_BROKER_URL": self.url}

    def policy(self, name: str) -> Any:
        return self.api.get(f"policies/{quote(self.vhost)}/{name}").json()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServers]:
    """Servers of our own: they have the management API, and a test restarts them."""
    with LocalServers(tmp_path_factory.mktemp("managed"), management=True) as running:
        yield running


@pytest.fixture
def broker(servers: LocalServers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """A vhost and a user that nobody has made yet."""
    broker = Broker(servers)
    for name, value in broker.environment().items():
        monkeypatch.setenv(name, value)
    yield broker
    broker.api.close()


def init(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main.app, ["init", *arguments])
    assert result.exit_code == code, result.output
    return result


def done(result: Result) -> dict[str, str]:
    """Return what was said of each thing, without the columns' spaces."""
    lines = [line.rpartition("  ") for line in result.stdout.splitlines()]
    return {" ".join(thing.split()): what for thing, _, what in lines}


def test_everything_is_made_once(broker: Broker) -> None:
    first, again = done(init("--admin-url", broker.admin_url)), done(init("--admin-url", broker.admin_url))

    assert list(first) == [
        f"vhost {broker.vhost}",
        f"user {broker.user}",
        f"rights of {broker.user}",
        "policy tts-lanes",
        "policy tts-dead",
        "exchange tts",
        "exchange tts.dlx",
        "queue tts.dead",
        "queue tts.interactive",
        "queue tts.bulk",
        "queue tts.assembly",
        "queue tts.standin",
        "exchange celery_delayed_delivery",
        "bucket emotivoice",
    ]
    assert set(list(first.values())[:-1]) == {"created", "declared"}
    assert set(again.values()) == {"there already"}
    assert again.keys() == first.keys()


def test_the_administrator_may_be_told_by_a_variable(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTIVOICE_BROKER_ADMIN_URL", broker.admin_url + "/")

    assert done(init())[f"user {broker.user}"] == "created"


def test_what_differs_is_put_right(broker: Broker) -> None:
    init("--admin-url", broker.admin_url)
    broker.api.put(f"users/{broker.user}", json={"password": "another", "tags": "monitoring"}).raise_for_status()
    rights = {"configure": "", "write": "", "read": ""}
    broker.api.put(f"permissions/{quote(broker.vhost)}/{broker.user}", json=rights).raise_for_status()

    made = done(init("--admin-url", broker.admin_url, "--lane-limit", "7", "--dead-limit", "9", "--dead-days", "2"))

    changed = [f"user {broker.user}", f"rights of {broker.user}", "policy tts-lanes", "policy tts-dead"]
    assert [thing for thing, what in made.items() if what == "changed"] == changed
    assert broker.api.get(f"users/{broker.user}").json()["tags"] == ["monitoring"]
    assert broker.policy("tts-lanes")["definition"] == {"max-length": 7}
    dead = broker.policy("tts-dead")["definition"]
    assert (dead["max-length"], dead["message-ttl"]) == (9, 2 * 24 * 3600 * 1000)


def test_the_policies_reach_the_queues_that_they_are_for(broker: Broker) -> None:
    init("--admin-url", broker.admin_url)

    def reached() -> dict[str, str] | None:
        queues: Any = broker.api.get(f"queues/{quote(broker.vhost)}").json()
        found = {queue["name"]: queue.get("policy") for queue in queues}
        return found if all(found.get(name) for name in ("tts.dead", "tts.bulk")) else None

    policies = wait_for(reached) or {}  # the pages are some seconds late
    assert policies["tts.dead"] == "tts-dead"
    assert {policies[f"tts.{lane}"] for lane in Lane} == {"tts-lanes"}
    assert {policy for name, policy in policies.items() if name.startswith("celery")} == {None}


def test_the_administrator_does_not_take_its_own_rights_away(broker: Broker) -> None:
    made = done(init("--admin-url", broker.admin_url, "--broker-url", broker.root_url))

    [user] = [what for thing, what in made.items() if thing.startswith("user")]
    assert user.startswith("the administrator's own, left as it is")
    assert done(init("--broker-url", broker.root_url))["queue tts.bulk"] == "there already"


def test_without_an_administrator_a_missing_user_is_told(broker: Broker) -> None:
    error = init("--wait", "0", code=1).stderr

    assert "ACCESS_REFUSED" in error
    assert "--admin-url" in error
    assert quote(PASSWORD, safe="") not in error


def test_a_wrong_administrator_is_told_at_once(broker: Broker) -> None:
    url = broker.admin_url.replace("emotivoice:", "somebody:")

    error = init("--admin-url", url, "--wait", "60", code=1).stderr

    assert "refuses the user 'somebody'" in error
    assert url not in error


@pytest.mark.parametrize(
    ("queue", "remedy"),
    [("tts.bulk", "`rabbitmqctl delete_queue tts.bulk`"), ("tts.dead", "`emotivoice dead`")],
)
def test_a_queue_of_another_version_is_told_with_what_to_do(broker: Broker, queue: str, remedy: str) -> None:
    init("--admin-url", broker.admin_url)
    connection: Any
    with kombu.Connection(broker.url) as connection:
        connection.default_channel.queue_delete(queue)
        arguments = {"x-queue-type": "quorum"}
        connection.default_channel.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)

    error = init(code=1).stderr

    assert f"the queue {queue} is there, but not as this version declares it" in error
    assert "inequivalent arg 'x-de" in error
    assert remedy in error
    assert "emotivoice init" in error


def test_servers_that_are_not_up_yet_are_waited_for(broker: Broker) -> None:
    init("--admin-url", broker.admin_url)
    node = broker.servers.rabbitmq
    assert node
    node.stop()
    log = broker.servers.folder.log("waiting")
    environment = {**os.environ, **broker.environment()}
    waiting = Process(
        "init", Command([sys.executable, "-m", "cli", "init", "--wait", "60"], log, environment, CODE_FOLDER)
    )
    try:
        waiting.launch()
        wait_for(lambda: "waiting for the broker: no answer" in waiting.log_tail(100))
    finally:
        node.start()

    waiting.finish()
    assert waiting.log_tail(100).count("waiting for") == 1


def test_servers_that_stay_away_are_given_up(broker: Broker) -> None:
    (port,) = free_ports(1)

    started = time.monotonic()
    error = init("--broker-url", f"amqp://{LOOPBACK}:{port}//", "--wait", "1", code=1).stderr

    assert time.monotonic() - started < 20
    assert f"error: no answer from the broker at {LOOPBACK}:{port}" in error


def test_the_bucket_is_waited_for_too(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTIVOICE_S3_SECRET_KEY", "wrong")

    result = init("--admin-url", broker.admin_url, "--wait", "0", code=1)

    assert "the object store could not be used" in result.stderr
    assert "queue tts.bulk" in done(result)


def test_a_full_lane_refuses_and_takes_again_when_there_is_room(broker: Broker) -> None:
    init("--admin-url", broker.admin_url, "--lane-limit", "3")
    queue = SweeperQueue(broker.url)

    taken, refused = 0, 0
    for number in range(20):
        try:
            queue.enqueue(f"job-{number}", "0", lane=Lane.BULK)
            taken += 1
        except QueueUnavailable:
            refused += 1

    assert taken < 10 < refused  # the bound is not sharp
    connection: Any
    with kombu.Connection(broker.url) as connection:
        connection.default_channel.queue_purge("tts.bulk")
    queue.enqueue("job-again", "0", lane=Lane.BULK)


def test_a_gateway_that_was_refused_is_not_refused_for_ever(broker: Broker) -> None:
    """RabbitMQ 3.10 goes on refusing a channel that it refused once, if the queue loses its bound while it is full."""
    init("--admin-url", broker.admin_url, "--lane-limit", "3")
    gateway, another = GatewayQueue(broker.url), SweeperQueue(broker.url)

    async def refused() -> bool:
        try:
            await gateway.enqueue("job-1", "0", lane=Lane.BULK)
        except QueueUnavailable:
            return True
        return False

    wait_for(lambda: asyncio.run(refused()))
    broker.api.delete(f"policies/{quote(broker.vhost)}/tts-lanes").raise_for_status()
    wait_for(lambda: _taken(another))

    assert not asyncio.run(refused())


def _taken(queue: SweeperQueue) -> bool:
    try:
        queue.enqueue("job-2", "0", lane=Lane.BULK)
    except QueueUnavailable:
        return False
    return True


def test_a_full_dead_letter_queue_lets_the_oldest_go(broker: Broker) -> None:
    init("--admin-url", broker.admin_url, "--dead-limit", "2")
    queue = worker_queue(make_app(broker.url))
    connection: Any
    with kombu.Connection(broker.url) as connection:
        channel = connection.default_channel
        for number in range(4):
            queue.enqueue(f"job-{number}", "0", lane=Lane.BULK)
            message: Any = wait_for(lambda: channel.basic_get("tts.bulk"))
            channel.basic_reject(message.delivery_tag, requeue=False)

        def left() -> list[str]:
            result = CliRunner().invoke(main.app, ["dead", "list", "--json"])
            return [letter["job_id"] for letter in json.loads(result.stdout)["dead_letters"]]

        wait_for(lambda: left() == ["job-2", "job-3"])
        assert channel.queue_declare("tts.bulk", passive=True).message_count == 0


@contextmanager
def service(broker: Broker, folder: Path) -> Generator[Api]:
    """A gateway and a worker for each lane, as the service's own user."""
    with ExitStack() as stack:
        ports = free_ports(1 + len(Lane))
        engine = {"EMOTIVOICE_ENGINE": "tests.engines:obedient", GATE: str(folder / "gate")}
        environment = {**os.environ, **broker.environment(), **engine}
        gateway = {"EMOTIVOICE_GATEWAY_HOST": LOOPBACK, "EMOTIVOICE_GATEWAY_PORT": str(ports[0])}
        workers = [
            {"EMOTIVOICE_LANE": lane, "EMOTIVOICE_HEALTH_PORT": str(port)}
            for lane, port in zip(Lane, ports[1:], strict=True)
        ]
        processes: list[Process] = []
        modules = ("gateway", *["worker"] * len(Lane))
        for module, settings, port in zip(modules, (gateway, *workers), ports, strict=True):
            command = Command(
                [sys.executable, "-m", module], folder / f"{port}.log", environment | settings, CODE_FOLDER
            )
            process = Process(module, command, answers=lambda port=port: http_ok(port, "/readyz"))
            process.launch()
            stack.callback(process.stop)
            processes.append(process)
        wait_ready(processes)
        yield stack.enter_context(Api(f"http://{LOOPBACK}:{ports[0]}"))


def test_gateway_and_workers_need_no_other_rights(broker: Broker, tmp_path: Path) -> None:
    init("--admin-url", broker.admin_url)

    with service(broker, tmp_path) as api:
        assert api.spoken("Spoken with few rights.")["attempts"] == 1
        assert api.spoken("\n\n".join([SENTENCE * 6] * 3), lane="bulk")["progress"]["segments_total"] > 1
        worker_queue(make_app(broker.url)).enqueue("nobody", "0", lane=Lane.BULK, delay_seconds=1)
        broken = api.submit("Please break this.")
        assert api.finished(broken)["error"]["code"] == "internal_error"
        result = wait_for(lambda: _dead(broken))

    assert result["queue"] == "tts.interactive"
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert "ACCESS_REFUSED" not in logs
    assert "consuming" in logs


def _dead(job_id: str) -> Any:
    result = CliRunner().invoke(main.app, ["dead", "list", "--json"])
    letters: Any = json.loads(result.stdout)["dead_letters"]
    return next((letter for letter in letters if letter["job_id"] == job_id), None)


FOREIGN: list[Callable[[Any], object]] = [
    lambda channel: channel.exchange_declare("other", "topic"),
    lambda channel: channel.queue_declare("ttsx"),
    lambda channel: channel.queue_delete("other"),
    lambda channel: channel.basic_get("other"),
]


@pytest.mark.parametrize("reach", FOREIGN)
def test_the_service_can_reach_nothing_else(broker: Broker, reach: Callable[[Any], object]) -> None:
    init("--admin-url", broker.admin_url)
    broker.api.put(f"queues/{quote(broker.vhost)}/other", json={"durable": True}).raise_for_status()

    connection: Any
    with kombu.Connection(broker.url) as connection, pytest.raises(connection.channel_errors, match="ACCESS_REFUSED"):
        reach(connection.default_channel)
    assert broker.api.get("whoami", auth=(broker.user, PASSWORD)).status_code == 401  # no tags: no management API


def test_a_gateway_needs_to_write_to_one_exchange_only(broker: Broker) -> None:
    """docs/operations.md says so."""
    init("--admin-url", broker.admin_url)
    broker.api.put("users/gateway-only", json={"password": "x", "tags": ""}).raise_for_status()
    rights = {"configure": "^$", "write": "^tts$", "read": "^$"}
    broker.api.put(f"permissions/{quote(broker.vhost)}/gateway-only", json=rights).raise_for_status()
    queue = GatewayQueue(broker.url_of("gateway-only", "x", broker.vhost))

    async def both() -> None:
        await queue.ping()
        await queue.enqueue("job-1", "0", lane=Lane.BULK)

    asyncio.run(both())
