"""What must be on the broker before the first worker starts: exchanges, queues, rights and bounds.

What decides whether a message can be lost is an argument of its queue (shared/queue.py): whoever declares the queue
brings it along, and no policy takes it away. A queue has only one policy, the one of the highest priority, so a policy
of somebody else's could displace ours. What an operator may want to change on a queue that is in use is a policy: an
argument could be changed only by deleting the queue.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from kombu import Connection
from kombu.transport.native_delayed_delivery import (
    CELERY_DELAYED_DELIVERY_EXCHANGE,
    bind_queue_to_native_delayed_delivery_exchange,
    declare_native_delayed_delivery_exchanges_and_queues,
)

from shared.queue import DEAD_EXCHANGE, DEAD_QUEUE, EXCHANGE, QUEUES, TIMEOUTS, is_rabbitmq

LANE_MESSAGES = 100_000  # of about 30 s of speech, 35 days of it. RabbitMQ 3.10 took 190 MB of memory for as many
DEAD_MESSAGES = 100_000
DEAD_BYTES = 1 << 30  # messages of ours have some hundred bytes; what else arrives may have any size
DEAD_DAYS = 30  # longer than a record is kept, by default: the message is of no use without it

ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED, NOT_ALLOWED = 403, 404, 406, 530  # AMQP's reply codes


class TopologyError(Exception):
    """The broker does not have what it should, and waiting will not help."""


class BrokerUnreachable(Exception):
    """The broker does not answer, or not yet."""


@dataclass(frozen=True)
class Account:
    """Who the service is to the broker, by its URL."""

    user: str
    password: str
    vhost: str


@dataclass(frozen=True)
class Policy:
    """Bounds for the queues whose names match the pattern."""

    name: str
    pattern: str
    definition: dict[str, int | str]


@dataclass(frozen=True)
class Declared:
    """Something that is on the broker now, and whether it was there before."""

    kind: str
    name: str
    existed: bool


def account(broker_url: str) -> Account:
    """Return whom the URL names; without a user it is RabbitMQ's own guest."""
    parts = urlsplit(broker_url)
    vhost = unquote(parts.path[1:]) or "/"
    return Account(unquote(parts.username or "guest"), unquote(parts.password or "guest"), vhost)


def rights() -> str:
    """Return the pattern of the names that the service declares, writes to and reads from: these three need the same.

    Declaring a queue with a dead-letter exchange asks for writing to that exchange and reading the queue, binding for
    writing to the one end and reading from the other; workers declare Celery's exchanges for delayed messages too.
    """
    names = [EXCHANGE.name, DEAD_EXCHANGE.name, DEAD_QUEUE.name, *(queue.name for queue in QUEUES.values())]
    return rf"^({'|'.join(map(re.escape, names))}|celery_delayed_([0-9]+|delivery))$"


def policies(*, lane_messages: int, dead_messages: int, dead_days: int) -> list[Policy]:
    """Return the bounds. A full lane refuses (`x-overflow` is an argument); `tts.dead` lets its oldest message go.

    If `tts.dead` refused, the lanes would have to keep what they can't hand over, and would fill up themselves.
    """
    lanes = "|".join(re.escape(queue.name) for queue in QUEUES.values())
    dead = {
        "max-length": dead_messages,
        "max-length-bytes": DEAD_BYTES,
        "overflow": "drop-head",
        "message-ttl": dead_days * 24 * 3600 * 1000,  # ms
    }
    return [
        Policy("tts-lanes", f"^({lanes})$", {"max-length": lane_messages}),
        Policy("tts-dead", f"^{re.escape(DEAD_QUEUE.name)}$", dead),
    ]


def declare(broker_url: str) -> list[Declared]:
    """Declare exchanges and queues; safe to repeat.

    Raises:
        BrokerUnreachable: trying again later may help.
        TopologyError: the broker refuses, or has a queue or exchange of that name that is another.
    """
    with connected(broker_url) as connection:
        if not is_rabbitmq(broker_url):  # Redis forgets an empty queue, so it can't tell whether it was there
            return [_declared_over_redis(connection, queue) for queue in QUEUES.values()]
        made = [_made(connection, "exchange", exchange) for exchange in (EXCHANGE, DEAD_EXCHANGE)]
        made += [_made(connection, "queue", queue) for queue in (DEAD_QUEUE, *QUEUES.values())]
        return [*made, _delayed(connection)]


def _declared_over_redis(connection: Any, queue: Any) -> Declared:
    queue(connection.default_channel).declare()
    return Declared("queue", queue.name, existed=False)


def _made(connection: Any, kind: str, thing: Any) -> Declared:
    existed = _exists(connection, kind, thing.name)
    with _mismatch_told(connection, kind, thing.name), connection.channel() as channel:
        thing(channel).declare()
    return Declared(kind, thing.name, existed)


def _delayed(connection: Any) -> Declared:
    """Declare what Celery delays messages with. Its workers do it too, the first of them while work waits for it."""
    name = CELERY_DELAYED_DELIVERY_EXCHANGE
    existed = _exists(connection, "exchange", name)  # it is the last to be declared
    with _mismatch_told(connection, "queue", "celery_delayed_0 to _27"):
        declare_native_delayed_delivery_exchanges_and_queues(connection, queue_type="quorum")
        for queue in QUEUES.values():
            bind_queue_to_native_delayed_delivery_exchange(connection, queue)
    return Declared("exchange", name, existed)


def _exists(connection: Any, kind: str, name: str) -> bool:
    channel = connection.channel()  # one of its own: the broker closes it for the answer "no"
    try:
        if kind == "queue":
            channel.queue_declare(name, passive=True)
        else:
            channel.exchange_declare(name, type="topic", passive=True)
    except connection.channel_errors as error:
        if _code(error) != NOT_FOUND:
            raise
        return False
    channel.close()
    return True


@contextmanager
def _mismatch_told(connection: Any, kind: str, name: str) -> Generator[None]:
    try:
        yield
    except connection.channel_errors as error:
        if _code(error) != PRECONDITION_FAILED:
            raise
        raise TopologyError(_advice(kind, name, str(error))) from error


def _advice(kind: str, name: str, reason: str) -> str:
    if kind == "exchange":
        remedy = "Stop the service and delete the exchange on RabbitMQ's management pages"
    elif name == DEAD_QUEUE.name:
        remedy = f"Look after its messages with `emotivoice dead` and delete it: `rabbitmqctl delete_queue {name}`"
    else:
        remedy = (
            f"Stop the service and delete it: `rabbitmqctl delete_queue {name}`. The sweeper enqueues its steps again"
        )
    return (
        f"the {kind} {name} is there, but not as this version declares it: {reason}. RabbitMQ can't change it. "
        f"{remedy}. Then run `emotivoice init` again"
    )


@contextmanager
def connected(broker_url: str) -> Generator[Any]:
    """Within the context, the broker is there.

    Raises:
        BrokerUnreachable: it does not answer, or no longer.
        TopologyError: it refuses.
    """
    options = TIMEOUTS if is_rabbitmq(broker_url) else {}
    connection: Any = Connection(broker_url, transport_options=options)
    where = f"{connection.hostname}:{connection.port}"
    try:
        with connection:
            connection.connect()
            yield connection
    except (*connection.connection_errors, *connection.channel_errors) as error:
        if _code(error) in (ACCESS_REFUSED, NOT_ALLOWED):
            hint = "`emotivoice init --admin-url` makes the vhost and the user of EMOTIVOICE_BROKER_URL"
            raise TopologyError(f"the broker at {where} refuses: {error}; {hint}") from error
        raise BrokerUnreachable(f"no answer from the broker at {where} ({type(error).__name__}: {error})") from error


def _code(error: BaseException) -> int | None:
    return getattr(error, "code", None)
