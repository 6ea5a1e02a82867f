"""The alternative that was not taken: Celery's thread pool over one shared engine. For bench/microbatching.py only."""

import os
from typing import Any

from celery import signals

from shared.jobs import Lane
from shared.logging import set_up_logging
from shared.queue import QUEUES, make_app, queue_name
from worker.ready_marks import ReadyMarks
from worker.runtime import Runtime, start_runtime
from worker.settings import WorkerSettings
from worker.tasks import register


def main() -> None:
    settings = WorkerSettings(lane=Lane.INTERACTIVE)
    set_up_logging("WARNING")
    app = make_app(settings.broker_url.get_secret_value())
    app.conf.update(
        task_queues=[QUEUES[settings.lane]],
        worker_prefetch_multiplier=1,
        task_acks_late=True,
        task_acks_on_failure=False,
        worker_hijack_root_logger=False,
    )
    loaded: list[Runtime] = []

    def load(**_: Any) -> None:
        runtime = start_runtime(app, settings, ReadyMarks())
        # No companions: the pool's own threads meet at the engine.
        loaded.append(Runtime(settings, runtime.jobs, runtime.objects, runtime.queue, runtime.engine, runtime.shared))

    signals.worker_init.connect(load, weak=False)
    register(app, lambda: loaded[0], lambda _: None)
    arguments = ["--quiet", "worker", "--pool=threads", f"--concurrency={os.environ['THREADS']}"]
    arguments += [f"--queues={queue_name(settings.lane)}", "--without-gossip", "--without-mingle", "--loglevel=WARNING"]
    app.worker_main(arguments)


if __name__ == "__main__":
    main()
