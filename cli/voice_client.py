"""The gateway's API for voices as Python calls."""

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import httpx

from cli.client import ANSWER_SECONDS, Client, Json
from cli.clips import is_url

PAGE = 100  # of one's own voices; the most that the gateway lists at once
UPLOAD_SECONDS = 120.0  # for the answer, once the file is there
DELETE_SECONDS = 60.0  # with all that was spoken with it
LOOK_SECONDS = 0.5  # between two looks at a voice that is being made


class VoiceCalls:
    """One gateway's voices. Calls raise as those of `Client`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def catalogue(self) -> Json:
        """Return the engine's voices and all of one's own."""
        query: dict[str, str | int] = {"limit": PAGE}
        found = page = self._json("GET", "/v1/voices", params=query)
        while page["next_cursor"]:
            page = self._json("GET", "/v1/voices", params={**query, "cursor": page["next_cursor"]})
            found["library"] += page["library"]
        return {**found, "next_cursor": None}

    def create(self, clip: str, options: Json) -> Json:
        """Make a voice of a file, or of what lies at a URL; repeated by itself, it is one voice."""
        return self._send("POST", "/v1/voices", clip, options, headers={"Idempotency-Key": str(uuid.uuid4())})

    def replace(self, voice_id: str, clip: str, options: Json) -> Json:
        return self._send("PUT", f"/v1/voices/{voice_id}/clip", clip, options, repeat=False)

    def voice(self, voice_id: str) -> Json:
        return self._json("GET", f"/v1/voices/{voice_id}")

    def wait(self, voice_id: str, is_done: Callable[[Json], bool]) -> Json:
        """Return the voice once it is so, or failed."""
        while True:
            voice = self.voice(voice_id)
            if voice["error"] or voice["state"] == "failed" or is_done(voice):
                return voice
            time.sleep(LOOK_SECONDS)

    def change(self, voice_id: str, changes: Json) -> Json:
        return self._json("PATCH", f"/v1/voices/{voice_id}", json=changes)

    def make_default(self, voice: str | None) -> str | None:
        """Choose who speaks what names nobody, and return its id; None: the service's own default."""
        return self._json("PUT", "/v1/voices/default", json={"voice": voice})["voice"]

    def preview(self, voice_id: str) -> bytes:
        return self._client.call("GET", f"/v1/voices/{voice_id}/preview").content

    def delete(self, voice_id: str) -> None:
        self._client.call("DELETE", f"/v1/voices/{voice_id}", timeout=DELETE_SECONDS)

    def _send(self, method: str, path: str, clip: str, options: Json, **more: Any) -> Json:
        if is_url(clip):
            return self._json(method, path, json={**options, "source_url": clip}, **more)
        with Path(clip).open("rb") as source:
            return self._json(
                method,
                path,
                files={"file": (Path(clip).name, source)},
                data={"options": json.dumps(options, ensure_ascii=False)},
                timeout=httpx.Timeout(ANSWER_SECONDS, read=UPLOAD_SECONDS),
                **more,
            )

    def _json(self, method: str, path: str, **options: Any) -> Json:
        return cast(Json, self._client.call(method, path, **options).json())
