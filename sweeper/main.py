"""The only wiring of the sweeper: settings in, rounds until SIGTERM."""

import logging
import os
import signal
import socket
import threading
import uuid
from functools import partial

from shared.batch_store import RedisBatches
from shared.book_store import RedisBooks
from shared.children import RedisChildJobs
from shared.health_server import serve
from shared.logging import set_up_logging
from shared.object_store import S3ObjectStore
from shared.ports import StepRef
from shared.queue import SweeperQueue
from shared.sweep_store import RedisSweepStore
from shared.voice_store import RedisVoices
from shared.webhook_store import RedisWebhooks
from sweeper.batches import BatchCare
from sweeper.books import BookCare
from sweeper.health import Health
from sweeper.pod_costs import Pods, api_server
from sweeper.relay import Relay
from sweeper.settings import SweeperSettings
from sweeper.sweeping import Servers, Sweeper, Terms
from sweeper.voices import VoiceCare

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0  # for what is in hand; a server that is away may take longer, and a round may be broken off
LEAST_LOCK_SECONDS, MOST_LOCK_SECONDS = 15.0, 500.0


def main() -> None:
    """Sweep until SIGTERM or SIGINT; what is in hand then is finished."""
    endings = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, endings)  # before there are threads: the main one waits for them
    settings = SweeperSettings()
    set_up_logging(settings.log_level)
    health = Health(sweep_seconds=settings.sweep_seconds)
    stopping = threading.Event()
    serve(health, host=settings.sweeper_health_host, port=settings.sweeper_health_port)
    sweeper = make_sweeper(settings, health, stopping)
    rounds = partial(sweep, sweeper, health, stopping, every_seconds=settings.sweep_seconds)
    sweeping = threading.Thread(target=rounds, name="sweeping", daemon=True)
    sweeping.start()
    relay = make_relay(settings)
    threading.Thread(
        target=partial(relay_webhooks, relay, sweeper, stopping, every_seconds=settings.webhook_relay_seconds),
        name="relaying",
        daemon=True,
    ).start()
    log.info("sweeping")
    signal.sigwait(endings)
    stopping.set()
    sweeping.join(STOP_SECONDS)
    log.info("stopped")


def sweep(sweeper: Sweeper, health: Health, stopping: threading.Event, *, every_seconds: float) -> None:
    """Do one round after another, then make room for another sweeper."""
    while not stopping.is_set():
        health.began(sweeper.round())
        health.moved()
        stopping.wait(every_seconds)
    sweeper.leave()


def relay_webhooks(relay: Relay, sweeper: Sweeper, stopping: threading.Event, *, every_seconds: float) -> None:
    """Have webhooks sent where this sweeper works. Beside its rounds: they may take long."""
    while not stopping.wait(every_seconds):
        if sweeper.working:
            relay.round(go_on=lambda: not stopping.is_set())
        else:
            relay.stand_by()


def make_relay(settings: SweeperSettings) -> Relay:
    """Return a relay with connections of its own."""
    lanes = SweeperQueue(settings.broker_url.get_secret_value())
    return Relay(RedisWebhooks(settings.redis_url.get_secret_value()), lanes)


def make_sweeper(settings: SweeperSettings, health: Health, stopping: threading.Event) -> Sweeper:
    """Return a sweeper on the real stores."""

    def go_on() -> bool:
        health.moved()
        return not stopping.is_set()

    url = settings.redis_url.get_secret_value()
    records, objects = RedisSweepStore(url, windows=settings.windows), S3ObjectStore(settings)
    lanes = SweeperQueue(settings.broker_url.get_secret_value())

    def send(step: StepRef) -> None:
        lanes.enqueue(step.job_id, step.step, lane=step.lane)

    children = RedisChildJobs(url, windows=settings.windows, send=send)
    servers = Servers(
        records,
        lanes,
        objects,
        Pods(api_server()) if settings.pod_deletion_cost else None,
        BookCare(RedisBooks(url), children, records, objects),
        BatchCare(RedisBatches(url), children, records),
        VoiceCare(RedisVoices(url), children, records, objects),
    )
    lock = min(max(3 * settings.sweep_seconds, LEAST_LOCK_SECONDS), MOST_LOCK_SECONDS)
    terms = Terms(settings.patience_seconds, settings.upload_seconds, lock)
    return Sweeper(f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4()}", servers, terms, go_on=go_on)
