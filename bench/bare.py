"""The floor: a bare FastAPI endpoint that sends a confirmed Celery task, and a worker that does nothing."""

import os
import socket

from celery import Celery
from fastapi import FastAPI
from kombu import Exchange, Queue
from pydantic import BaseModel

QUEUE = Queue("bench.bare", Exchange("bench", type="topic"), "bench.bare", queue_arguments={"x-queue-type": "quorum"})

celery_app = Celery("bare", broker=os.environ["EMOTIVOICE_BROKER_URL"])
celery_app.conf.update(
    task_queues=[QUEUE],
    task_default_queue=QUEUE.name,
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_transport_options={"confirm_publish": True},
    worker_enable_remote_control=False,
)

app = FastAPI()


class Body(BaseModel):
    text: str


@celery_app.task(name="bare")
def bare(told: str = "") -> None:
    """Do nothing but tell that it ran, to the address that asks."""
    if told:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
            teller.sendto(b"ran", told)


@app.post("/jobs", status_code=202)
def submit(body: Body) -> dict[str, str]:
    result = celery_app.send_task("bare", kwargs={}, mandatory=True)
    return {"id": str(result.id), "text": body.text}
