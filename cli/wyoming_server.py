"""`emotivoice wyoming`: the service as a voice for Home Assistant and whatever else speaks the Wyoming protocol.

A server of its own that asks the gateway for speech and passes it on as it comes. Text may come in pieces too, as a
language model writes it: each sentence is spoken as soon as it has ended.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Attribution, Describe, Info, TtsProgram, TtsVoice
from wyoming.server import AsyncEventHandler, AsyncServer
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

RATE, WIDTH, CHANNELS = 24_000, 2, 1  # of the gateway's `pcm`
BLOCK_BYTES = 4096  # 85 ms
PAUSE_SECONDS = 0.3  # between sentences that came one by one
FORMAT = {"rate": RATE, "width": WIDTH, "channels": CHANNELS}
# Up to the last mark that ends a sentence. A full stop does so only before a space: 3.5 may go on.
_ENDED = re.compile(r"(?s).*(?:[。！？!?…\n]|\.(?=\s))[\"'”’」』)]*")


class Gateway:
    """What is asked of the gateway."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def info(self) -> Info:
        """Return what the service can do, as the protocol tells it."""
        answer = await self._client.get("/v1/voices")
        answer.raise_for_status()
        offer: dict[str, Any] = answer.json()
        made_by = Attribution(name="EmotiVoice Fleet", url="")
        voices = [
            TtsVoice(
                name=voice["id"],
                description=f"{voice['name']} ({voice['gender']})",
                languages=voice["languages"],
                attribution=made_by,
                installed=True,
                version=None,
            )
            for voice in offer["voices"]
        ]
        program = TtsProgram(
            name="emotivoice",
            description=f"The engine {offer['engine']} of EmotiVoice Fleet",
            attribution=made_by,
            installed=True,
            version=offer["revision"],
            voices=voices,
            supports_synthesize_streaming=True,
        )
        return Info(tts=[program])

    async def voice_of(self, language: str) -> str | None:
        """Return the first voice that reads the language."""
        voices = (await self.info()).tts[0].voices
        return next((voice.name for voice in voices if language.partition("-")[0] in voice.languages), None)

    async def speech(self, text: str, voice: str | None) -> AsyncIterator[bytes]:
        """Yield samples as they come.

        Raises:
            httpx.HTTPStatusError: the gateway refuses, and says why.
        """
        body = {"input": text, "response_format": "pcm", "model": "emotivoice", **({"voice": voice} if voice else {})}
        async with self._client.stream("POST", "/v1/audio/speech", json=body) as answer:
            if answer.is_error:
                await answer.aread()
            answer.raise_for_status()
            async for block in answer.aiter_bytes(BLOCK_BYTES):
                yield block


class Handler(AsyncEventHandler):
    """One connection: a text is spoken whole, or sentence by sentence while it comes."""

    def __init__(self, gateway: Gateway, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self._gateway = gateway
        self._voice: str | None = None
        self._pending: str | None = None  # of a text that comes in pieces; None: none does
        self._sounding = False

    async def handle_event(self, event: Event) -> bool:
        """Answer it; what the gateway refuses is told, and the connection stays."""
        try:
            await self._answer(event)
        except httpx.HTTPStatusError as error:
            await self._failed(_refusal(error.response), "refused")
        except httpx.HTTPError as error:
            await self._failed(f"the gateway does not answer ({error or type(error).__name__})", "unreachable")
        return True

    async def _answer(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self.write_event((await self._gateway.info()).event())
        elif SynthesizeStart.is_type(event.type):
            self._voice, self._pending = await self._chosen(SynthesizeStart.from_event(event).voice), ""
        elif SynthesizeChunk.is_type(event.type) and self._pending is not None:
            await self._more(SynthesizeChunk.from_event(event).text)
        elif SynthesizeStop.is_type(event.type) and self._pending is not None:
            rest, self._pending = self._pending, None
            await self._speak(rest)
            await self._silent()
            await self.write_event(SynthesizeStopped().event())
        elif Synthesize.is_type(event.type) and self._pending is None:  # else it repeats the pieces, for older servers
            whole = Synthesize.from_event(event)
            self._voice = await self._chosen(whole.voice)
            await self._speak(whole.text)
            await self._silent()

    async def _chosen(self, voice: SynthesizeVoice | None) -> str | None:
        if voice is None or voice.name:
            return voice.name if voice else None
        return await self._gateway.voice_of(voice.language) if voice.language else None

    async def _more(self, text: str) -> None:
        assert self._pending is not None
        self._pending += text
        if ended := _ENDED.match(self._pending):
            self._pending = self._pending[ended.end() :]
            await self._speak(ended.group())

    async def _speak(self, text: str) -> None:
        if not text.strip():
            return
        if self._sounding:
            await self._sound(bytes(round(PAUSE_SECONDS * RATE) * WIDTH))
        async for block in self._gateway.speech(text, self._voice):
            await self._sound(block)

    async def _sound(self, samples: bytes) -> None:
        if not self._sounding:
            await self.write_event(AudioStart(**FORMAT).event())
            self._sounding = True
        await self.write_event(AudioChunk(**FORMAT, audio=samples).event())

    async def _silent(self) -> None:
        if self._sounding:
            await self.write_event(AudioStop().event())
        self._sounding = False

    async def _failed(self, why: str, code: str) -> None:
        self._pending = None
        await self._silent()
        await self.write_event(Error(text=why, code=code).event())


def _refusal(answer: httpx.Response) -> str:
    try:
        body: dict[str, Any] = answer.json()
    except ValueError:
        return f"the gateway answered {answer.status_code}"
    return str(body.get("detail") or body.get("error", {}).get("message") or body)


async def serve(uri: str, url: str, token: str) -> None:
    """Serve until cancelled or SIGTERM."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=httpx.Timeout(10, read=120)) as client:
        gateway = Gateway(client)
        await AsyncServer.from_uri(uri).run(lambda reader, writer: Handler(gateway, reader, writer))
