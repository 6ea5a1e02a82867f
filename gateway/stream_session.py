"""One stream of text, from its first message to its last audio. docs/streaming.md.

Three tasks: one reads what the writer sends and gathers sentences, one makes jobs of them, a few ahead of what is
heard, and one sends their speech, in order, as one audio. A job is what one of `POST /v1/audio/speech` is.
"""

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from starlette.websockets import WebSocket, WebSocketDisconnect

from audio.waveform import Waveform, silence
from gateway.dependencies import Services
from gateway.metrics import STREAM_FIRST_AUDIO
from gateway.sentences import MARK, Gatherer, Sentence
from gateway.speech import Listener, listener_to
from gateway.stream_messages import End, Flush, FromClient, Start, Text, event, message_of, trouble
from gateway.streaming import LOOK_SECONDS, encoded
from gateway.submission import checked
from gateway.voice_offer import offer_to
from shared.errors import (
    AudioLost,
    AudioMissing,
    InvalidMessage,
    JobError,
    QuotaExceeded,
    ReaderTooSlow,
    StreamIdle,
    TextTooLong,
)
from shared.limits import Quota

AHEAD = 3  # jobs that are spoken or wait to be heard, the one that is heard included
UNSPEAKABLE = {"unspeakable_text", "control_character", "empty_text"}  # the stream goes on without that text
STALLED_SECONDS = 60.0  # in which a reader takes nothing
AGAIN_SECONDS = 0.2
STORED_WITHIN_SECONDS = 5.0  # a job ends about so soon after all of it was heard


class ClientGone(Exception):
    """The client has closed, or its connection is lost."""


@dataclass(frozen=True)
class Piece:
    """Some of the text, and who listens to its job; or why there is no job."""

    number: int
    sentence: Sentence
    spoken: Listener | JobError


class Session:
    """A stream."""

    def __init__(self, socket: WebSocket, services: Services, *, tenant: str) -> None:
        self._socket = socket
        self._services = services
        self._settings = services.settings
        self._tenant = tenant
        self._start: Start
        self._gatherer = Gatherer()
        self._news = asyncio.Event()  # there is something to take, or the text is at its end
        self._ended = False
        self._room = asyncio.Semaphore(AHEAD)
        self._pieces = asyncio.Queue[Piece | Sentence | None]()  # in order, with marks between; None: that was all
        self._open = 0  # pieces that were taken and not heard yet
        self._listeners = set[Listener]()
        self._warning = set[asyncio.Task[None]]()
        self._characters, self._seconds = 0, 0.0
        self._taken_at = 0.0  # when the first piece was taken; 0 once something of it was heard
        self._heard_at = 0.0  # when the latest piece was heard to its end

    async def run(self) -> None:
        """Speak what the client writes, to the end.

        Raises:
            ClientGone: there is nobody any more.
            JobError: why it can't go on.
        """
        try:
            self._start = await self._first()
            await self._tell("started", format=self._start.format, sample_rate=self._start.rate)
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read())
                tasks.create_task(self._make_jobs())
                await self._speak()
                reading.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            for task in self._warning:
                task.cancel()
            for listener in self._listeners:
                listener.leave(heard_all=False)

    # What the client writes

    async def _first(self) -> Start:
        message = await self._received(self._settings.stream_idle_seconds)
        if message is None:
            raise StreamIdle(seconds=self._settings.stream_idle_seconds)
        if not isinstance(message, Start):
            raise InvalidMessage("the first message has to be of the type start")
        offer = await offer_to(self._tenant, [message.voice], self._services)
        checked(message.request("Hello", offer, self._settings), offer, self._settings)  # or told with the first text
        return message

    async def _read(self) -> None:
        idle = self._settings.stream_idle_seconds
        while True:
            waits = bool(self._gatherer.rest.strip())
            message = await self._received(self._start.wait_seconds if waits else idle)
            if message:
                self._take(message)
            elif waits:
                self._gatherer.flush()
            elif not (self._open or self._gatherer.ready or self._ended):
                raise StreamIdle(seconds=idle)
            self._news.set()

    def _take(self, message: FromClient) -> None:
        match message:
            case Start():
                raise InvalidMessage("a stream has one message of the type start")
            case _ if self._ended:
                raise InvalidMessage("no message may come behind the end")
            case Text(text=text):
                self._characters += len(text)
                if self._characters > self._settings.max_text_characters:
                    raise TextTooLong(self._characters, limit=self._settings.max_text_characters)
                self._gatherer.add(text)
            case Flush():
                self._gatherer.flush()
                self._gatherer.mark()
            case End():
                self._gatherer.flush()
                self._ended = True

    async def _received(self, seconds: float) -> FromClient | None:
        """Return the next message, or None if none comes in time."""
        try:
            async with asyncio.timeout(seconds):
                received = await self._socket.receive()
        except TimeoutError:
            return None
        if received["type"] == "websocket.disconnect":
            raise ClientGone
        return message_of(received)

    # What becomes of it

    async def _make_jobs(self) -> None:
        for number in count():
            await self._room.acquire()
            while (sentence := await self._next()) is MARK:
                self._pieces.put_nowait(MARK)
            if sentence is None:
                self._pieces.put_nowait(None)
                return
            self._taken_at = self._taken_at if number else time.monotonic()
            self._open += 1
            self._pieces.put_nowait(Piece(number, sentence, await self._spoken(sentence.text)))

    async def _next(self) -> Sentence | None:
        while (sentence := self._gatherer.take()) is None and not self._ended:
            self._news.clear()
            await self._news.wait()
        return sentence

    async def _spoken(self, text: str) -> Listener | JobError:
        try:
            return await self._listener(text)
        except JobError as error:
            if error.code in UNSPEAKABLE:
                return error
            raise

    async def _listener(self, text: str) -> Listener:
        """Have it spoken. A tenant who may have one job at a time waits for the piece before."""
        offer = await offer_to(self._tenant, [self._start.voice], self._services)
        request = self._start.request(text, offer, self._settings)
        while True:
            try:
                listener = await listener_to(request, self._services, tenant=self._tenant)
            except QuotaExceeded as error:
                ends_soon = self._open > 1 or time.monotonic() - self._heard_at < STORED_WITHIN_SECONDS
                if error.quota is not Quota.JOBS or not ends_soon:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self._listeners.add(listener)
                return listener

    # What the client hears

    async def _speak(self) -> None:
        start = self._start
        async with (
            aclosing(self._waveforms()) as waveforms,
            aclosing(encoded(waveforms, format=start.format, sample_rate=start.rate)) as audio,
        ):
            async for data in audio:
                await self._send(data)
        if self._warning:
            await asyncio.wait(self._warning)
        await self._tell("done", usage={"characters": self._characters, "audio_seconds": round(self._seconds, 3)})

    async def _waveforms(self) -> AsyncGenerator[Waveform]:
        """Yield the speech of all pieces, each with its pause, so that no codec holds back what is before it."""
        while (piece := await self._pieces.get()) is not None:
            if isinstance(piece, Sentence):
                await self._tell("flushed")
                continue
            rate = 0
            async with aclosing(self._speech(piece)) as waveforms:
                async for waveform in waveforms:
                    rate = waveform.sample_rate
                    yield self._counted(waveform)
            self._open -= 1
            self._heard_at = time.monotonic()
            self._room.release()
            if rate and not self._over:
                yield self._counted(silence(piece.sentence.pause_seconds, rate))

    @property
    def _over(self) -> bool:
        """Whether everything was heard that will ever be written."""
        return self._ended and not self._open and not self._gatherer.ready

    def _counted(self, waveform: Waveform) -> Waveform:
        self._seconds += waveform.seconds
        return waveform

    async def _speech(self, piece: Piece) -> AsyncGenerator[Waveform]:
        """Yield the speech of one piece; of what can't be spoken the client is told, and nothing is heard."""
        if isinstance(piece.spoken, JobError):
            await self._trouble("warning", piece.spoken, segment=piece.number, text=piece.sentence.text)
            return
        listener, heard = piece.spoken, False
        try:
            async with aclosing(listener.speech().waveforms()) as waveforms:
                async for waveform in waveforms:
                    if not heard:
                        await self._tell_of(piece, listener)
                    heard = True
                    yield waveform
        except AudioMissing as error:
            raise AudioLost from error
        except JobError as error:
            if error.code not in UNSPEAKABLE:
                raise
            await self._trouble("warning", error, segment=piece.number, text=piece.sentence.text)
        self._listeners.discard(listener)
        listener.leave(heard_all=True)
        if heard:
            self._begin(self._warn(piece.number, listener.job.id))

    async def _tell_of(self, piece: Piece, listener: Listener) -> None:
        text, start_seconds = piece.sentence.text, round(self._seconds, 3)
        await self._tell("segment", segment=piece.number, job=listener.job.id, text=text, start_seconds=start_seconds)

    def _begin(self, warning: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(warning)
        self._warning.add(task)
        task.add_done_callback(self._warning.discard)

    async def _warn(self, number: int, job_id: str) -> None:
        """Tell what was left out of a piece, as its job says when it has ended, which is soon."""
        with suppress(TimeoutError, JobError, ClientGone):
            async with self._services.jobs.watch(job_id) as changed, asyncio.timeout(STORED_WITHIN_SECONDS):
                while (view := await self._services.jobs.view(job_id)) and not view.job.finished:
                    await changed(LOOK_SECONDS)
            for warning in view.audio.warnings if view and view.audio else ():
                await self._tell("warning", code="not_as_written", detail=warning, segment=number)

    # How it is sent

    async def _send(self, audio: bytes) -> None:
        if self._taken_at:
            STREAM_FIRST_AUDIO.observe(time.monotonic() - self._taken_at)
            self._taken_at = 0.0
        if self._start.audio == "base64":
            await self._sent(self._socket.send_text(event("audio", audio=base64.b64encode(audio).decode())))
        else:
            await self._sent(self._socket.send_bytes(audio))

    async def _tell(self, kind: str, **fields: object) -> None:
        await self._sent(self._socket.send_text(event(kind, **fields)))

    async def _trouble(self, kind: Literal["error", "warning"], error: JobError, **fields: object) -> None:
        await self._sent(self._socket.send_text(trouble(kind, error, **fields)))

    async def _sent(self, sending: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await sending
        except TimeoutError:
            raise ReaderTooSlow(seconds=STALLED_SECONDS) from None
        except (WebSocketDisconnect, RuntimeError):  # closed by either side
            raise ClientGone from None
