"""A request of OpenAI's API as a job that somebody listens to."""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress
from typing import Any

from gateway.dependencies import Services
from gateway.metrics import LISTENERS
from gateway.openai_schemas import SpeechBody
from gateway.openai_voices import voice_of
from gateway.settings import GatewaySettings
from gateway.streaming import Speech, encoded
from gateway.submission import fingerprint, submit
from shared.audio_formats import FORMATS
from shared.checking import Offer
from shared.errors import ModelNotFound, StoreUnavailable, UnknownEmotion, UnsupportedSampleRate
from shared.job_request import JobRequest
from shared.jobs import Job

log = logging.getLogger(__name__)

OUR_MODEL = "emotivoice"  # whatever engine speaks here
OPENAI_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
SAMPLE_RATE = 24_000  # unless the client wants another, as of OpenAI's own
NEUTRAL = "neutral"

LISTENING_SECONDS = 3.0  # between two signs of life
# OpenAI's client sends a request again 0.4 to 1 s after it gave one up: what was spoken by then is not lost.
GRACE_SECONDS = 3.0

_tasks = set[asyncio.Task[None]]()  # the loop itself keeps no task alive


def job_request(body: SpeechBody, offer: Offer, settings: GatewaySettings) -> JobRequest:
    """Return what is to be spoken: without loss, so that one job serves every format.

    Raises:
        JobError: a field names what is not there.
    """
    catalogue = offer.catalogue
    if body.model not in models_of(catalogue.engine) and not body.model.startswith("gpt-4o-mini-tts-"):
        raise ModelNotFound(body.model, models_of(catalogue.engine))
    sample_rate_of(body)
    return JobRequest(
        text=body.input,
        voice=voice_of(name_of(body), body.language or "", offer, settings),
        emotion=_emotion(body, offer),
        speed=body.speed or 1.0,
        seed=body.seed or 0,
        format="flac",
        sample_rate=None,
    )


def name_of(body: SpeechBody) -> str:
    """Return how the client calls the voice; "" if it names none."""
    return body.voice if isinstance(body.voice, str) else body.voice.id if body.voice else ""


def models_of(engine: str) -> tuple[str, ...]:
    """Return the names by which a client may ask for the engine."""
    return tuple(dict.fromkeys((OUR_MODEL, engine, *OPENAI_MODELS)))


def sample_rate_of(body: SpeechBody) -> int:
    rate = body.sample_rate or SAMPLE_RATE
    allowed = FORMATS["wav" if body.format == "pcm" else body.format].sample_rates
    if rate not in allowed:
        raise UnsupportedSampleRate(rate, format=body.format, allowed=allowed)
    return rate


def _emotion(body: SpeechBody, offer: Offer) -> str:
    """Return the emotion, or the instructions as one: any sentence where the engine takes that, else a tag."""
    if body.emotion:
        return body.emotion
    told, tags = (body.instructions or "").strip(), offer.catalogue.emotions
    tag = next((tag for tag in tags if tag.lower() == told.lower().rstrip(".")), None)
    if not told or tag or offer.catalogue.free_text_emotion:
        return tag or told or NEUTRAL
    error = UnknownEmotion(told, tags)
    error.param = "instructions"
    raise error


class Listener:
    """A client's ear at a job. If it goes before the end, and nobody else listens, the job is cancelled."""

    def __init__(self, job: Job, services: Services) -> None:
        self.job = job
        self._services = services
        self.id = uuid.uuid4().hex
        self._renewing = asyncio.create_task(self._renew())
        LISTENERS.inc()

    def speech(self) -> Speech:
        return Speech(self.job.id, self._services)

    def leave(self, *, heard_all: bool) -> None:
        LISTENERS.dec()
        self._renewing.cancel()
        _start(self._left(0 if heard_all else GRACE_SECONDS))

    async def _left(self, grace_seconds: float) -> None:
        with suppress(StoreUnavailable):  # then it is spoken to its end
            await asyncio.sleep(grace_seconds)
            others = await self._services.live.leave(self.job.id, self.id)
            if grace_seconds and not others:
                log.info("nobody listens any more: cancelled unless it has ended", extra={"job_id": self.job.id})
                await self._services.jobs.cancel(self.job.id)

    async def _renew(self) -> None:
        while True:
            with suppress(StoreUnavailable):
                await self._services.live.listen(self.job.id, self.id)
            await asyncio.sleep(LISTENING_SECONDS)


def _start(coroutine: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(coroutine)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def listener_to(body: JobRequest, services: Services, *, tenant: str) -> Listener:
    """Have it spoken, or listen to the same that is spoken already: clients silently send a request again.

    Raises:
        JobError: it can't be spoken.
    """
    key = f"stream:{fingerprint(body)}"
    while True:
        accepted = await submit(body, services, key=key, tenant=tenant, stream=True)
        job = accepted.view.job
        if not (accepted.replayed and job.finished):
            listener = Listener(job, services)
            await services.live.listen(job.id, listener.id)
            return listener
        await services.jobs.forget_key(tenant, key, job.id)  # that one is over


def audio_of(speech: Speech, body: SpeechBody) -> AsyncGenerator[bytes]:
    """Yield the speech in the format that the client wants."""
    return encoded(speech.waveforms(), format=body.format, sample_rate=sample_rate_of(body))
