"""The only wiring of the worker: settings in, a Celery worker out."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import Celery, signals
from celery.utils.log import get_multiprocessing_logger

from shared import tracing
from shared.logging import set_up_logging
from shared.queue import QUEUES, is_rabbitmq, make_app, queue_name
from worker.bootsteps import LOAD_FAILED, guard_step, health_server, warm_gate
from worker.grace import Countdown
from worker.guard import Guard
from worker.health import Health
from worker.memory import outgrown
from worker.metrics import START_SECONDS
from worker.ready_marks import ReadyMarks
from worker.runtime import Runtime, start_runtime
from worker.settings import WorkerSettings
from worker.tasks import register

log = logging.getLogger(__name__)

# Of a child's connection to RabbitMQ. Without them a publish hangs while the broker is short of memory or cut off.
TIMEOUTS = {"connect_timeout": 3, "read_timeout": 10, "write_timeout": 10}


def make_worker_app(settings: WorkerSettings, *, ready: ReadyMarks, health: Health, started_at: float) -> Celery:
    """Return the app with its tasks and steps. Nothing here may touch CUDA: the children fork from this process."""
    app = make_app(settings.broker_url.get_secret_value())
    app.conf.update(
        task_queues=[QUEUES[settings.lane]],
        task_default_queue=queue_name(settings.lane),  # else a retry finds no queue: Celery looks that up for each
        worker_prefetch_multiplier=1,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure=False,
        task_acks_on_timeout=False,
        task_soft_time_limit=settings.step_limit_seconds,
        task_time_limit=settings.hard_limit_seconds,
        worker_proc_alive_timeout=settings.load_limit_seconds,  # Celery kills a replacement child silent for 4 s
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_publish_retry_policy={"max_retries": 10, "interval_start": 0.2, "interval_step": 0.5, "interval_max": 2},
        worker_consumer="worker.bootsteps:SafeConsumer",
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
    )
    server = health_server(health, host=settings.health_host, port=settings.health_port)
    gate = warm_gate(ready, health, after=server, load_limit_seconds=settings.load_limit_seconds)
    app.steps["worker"].update({server, gate})
    guard = Guard(ready, health, Countdown(ready, settings.grace), started_at=started_at)
    app.steps["consumer"].add(guard_step(guard))
    load = _load_in_each_child(app, settings, ready, lambda: None if health.was_ready else started_at)
    register(app, load, partial(_retire_if_outgrown, ready=ready))
    return app


def _load_in_each_child(
    app: Celery, settings: WorkerSettings, ready: ReadyMarks, started_at: Callable[[], float | None]
) -> Any:
    """Load the engine when a child starts; return how a task gets at what was loaded."""
    loaded: list[Runtime] = []

    def load(**_: Any) -> None:
        try:
            loaded.append(start_runtime(app, settings, ready, started_at=started_at()))
        except Exception:  # a process edge: Celery would keep a child without an engine
            log.exception("the engine could not be loaded")
            os._exit(LOAD_FAILED)
        if is_rabbitmq(settings.broker_url.get_secret_value()):
            app.conf.broker_transport_options = {**app.conf.broker_transport_options, **TIMEOUTS}
        # From here on the main process alone decides when to stop: a supervisor may send SIGTERM to the children too.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ready.set()

    signals.worker_process_init.connect(load, weak=False)

    def finish(**_: Any) -> None:
        if loaded and loaded[0].courier:
            loaded[0].courier.close()
        tracing.stop()

    signals.worker_process_shutdown.connect(finish, weak=False)
    return lambda: loaded[0]


def _retire_if_outgrown(here: Runtime, *, ready: ReadyMarks) -> None:
    """Called in the child after each message; the guard replaces it when it has nothing in hand."""
    if reason := outgrown(here.settings, here.engine):
        log.warning("the child will be replaced: %s", reason)
        ready.retire()


def _keep_our_logging(**_: Any) -> None:
    """Called where Celery would set up logging of its own. The logger of its pool writes past ours by default."""
    if pool := get_multiprocessing_logger():
        pool.setLevel(logging.ERROR)
        pool.propagate = True


def run(settings: WorkerSettings, *, started_at: float) -> None:
    """Run a worker until SIGTERM."""
    set_up_logging(settings.log_level)
    signals.setup_logging.connect(_keep_our_logging, weak=False)
    ready = ReadyMarks()
    app = make_worker_app(settings, ready=ready, health=Health(), started_at=started_at)
    START_SECONDS.labels("import").observe(time.time() - started_at)
    arguments = ["--quiet", "worker", "--pool=prefork", "--concurrency=1", f"--queues={queue_name(settings.lane)}"]
    arguments += [
        "--without-gossip",
        "--without-mingle",
        f"--hostname={settings.lane}@%h",
        "--loglevel",
        settings.log_level,
    ]
    try:
        app.worker_main(arguments)
    finally:
        ready.remove()
    sys.exit(0)
