"""Speech for clients of OpenAI's API: the answer is the audio, while it is spoken. docs/openai.md."""

import asyncio
import base64
import json
import math
import time
from collections.abc import AsyncGenerator

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from gateway.delivery import make_again
from gateway.dependencies import ServicesDep, SpeakerDep
from gateway.errors import job_problem
from gateway.metrics import FIRST_AUDIO_SECONDS
from gateway.openai_errors import error_of
from gateway.openai_schemas import SpeechBody
from gateway.routes.problems import openai_problems
from gateway.speech import Listener, audio_of, job_request, listener_to, name_of, sample_rate_of
from gateway.streaming import Speech
from gateway.voice_offer import offer_to
from shared.audio_formats import FORMATS
from shared.errors import AudioLost, AudioMissing, JobError

router = APIRouter(prefix="/v1/audio", tags=["openai"])

CLIENT_GONE = 499  # nobody gets it; a log or a metric may
TOKENS_PER_SECOND = 20  # OpenAI counts spoken audio so: a token for 50 ms
_TYPES = (*(form.content_type for form in FORMATS.values()), "audio/pcm", "text/event-stream")


@router.post(
    "/speech",
    response_class=StreamingResponse,
    responses={
        200: {"content": {one: {} for one in _TYPES}},
        **openai_problems(400, 404, 409, 410, 413, 429, 500, 503),
    },
)
async def create_speech(body: SpeechBody, request: Request, services: ServicesDep, caller: SpeakerDep) -> Response:
    """Speak a text; the audio comes while it is spoken. The answer begins with the first of it, or with a failure."""
    asked_at = time.perf_counter()
    wanted = job_request(body, await offer_to(caller.tenant, [name_of(body)], services), services.settings)
    listener = await listener_to(wanted, services, tenant=caller.tenant)
    speech = listener.speech()
    audio = audio_of(speech, body)
    first = b""
    try:
        first = await _first(audio, request.receive)
    except AudioMissing:
        await make_again(listener.job.id, services)
    finally:
        if not first:
            listener.leave(heard_all=False)
    if not first:
        return Response(status_code=CLIENT_GONE)
    FIRST_AUDIO_SECONDS.observe(time.perf_counter() - asked_at)
    chunks, media_type = _all(first, audio), _content_type(body)
    if body.stream_format == "sse":
        chunks, media_type = _events(chunks, speech, listener.job.characters), "text/event-stream"
    headers = {"X-Emotivoice-Job": listener.job.id, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return _Heard(chunks, listener, headers=headers, media_type=media_type)


def _content_type(body: SpeechBody) -> str:
    if body.format == "pcm":
        return f"audio/pcm;rate={sample_rate_of(body)}"
    return FORMATS[body.format].content_type


async def _first(audio: AsyncGenerator[bytes], receive: Receive) -> bytes:
    """Return the first of the audio, or nothing if the client goes before."""
    coming, going = asyncio.ensure_future(anext(audio)), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((coming, going), return_when=asyncio.FIRST_COMPLETED)
        return coming.result() if coming.done() else b""
    finally:
        for task in (coming, going):
            task.cancel()
        await asyncio.wait((coming, going))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _all(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


async def _events(chunks: AsyncGenerator[bytes], speech: Speech, characters: int) -> AsyncGenerator[bytes]:
    """Yield the audio as server-sent events, and at the end what it came to."""
    try:
        async for chunk in chunks:
            yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(chunk).decode()})
    except JobError as error:
        failure = AudioLost() if isinstance(error, AudioMissing) else error
        yield _event({"type": "error", "error": error_of(json.loads(bytes(job_problem(failure).body)))})
        return
    spoken = math.ceil(speech.seconds * TOKENS_PER_SECOND)
    usage = {"input_tokens": characters, "output_tokens": spoken, "total_tokens": characters + spoken}
    yield _event({"type": "speech.audio.done", "usage": usage})


def _event(content: dict[str, object]) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


class _Heard(StreamingResponse):
    """A body that somebody listens to, and that breaks off if no more will come."""

    def __init__(
        self, chunks: AsyncGenerator[bytes], listener: Listener, *, headers: dict[str, str], media_type: str
    ) -> None:
        super().__init__(chunks, headers=headers, media_type=media_type)
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        heard_all = False

        async def sent(message: Message) -> None:
            nonlocal heard_all
            await send(message)
            heard_all = message["type"] == "http.response.body" and not message.get("more_body")

        try:
            await super().__call__(scope, receive, sent)
        finally:
            self._listener.leave(heard_all=heard_all)
