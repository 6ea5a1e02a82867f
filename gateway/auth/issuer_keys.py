"""The public keys of a token issuer (RFC 7517), fetched beside the requests and kept."""

import asyncio
import json
import logging
import time
from typing import Any, cast

import httpx
import jwt
from anyio import to_thread
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from shared.errors import AuthUnavailable
from shared.loopback import is_loopback

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "ES256")
RSA_BITS = 2048  # at least, by RFC 7518
KEPT_SECONDS = 300.0  # then they are fetched anew, so a key that the issuer withdrew is refused by then
AGAIN_SECONDS = 5.0  # between two fetches at least, however many unknown keys are named
ANSWER_SECONDS = 3.0
MOST_BYTES = 1024 * 1024


class IssuerKeys:
    """Keys by their ids. While the issuer does not answer, the ones that were received last are good."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._asked_at = -float("inf")
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key of that id, if the issuer has it. One that is not known yet is asked for.

        Raises:
            AuthUnavailable: no keys were ever received.
        """
        if key_id not in self._keys and (fetching := self._fetch()):
            await asyncio.shield(fetching)  # others may wait for it too
        elif time.monotonic() - self._fetched_at > KEPT_SECONDS:
            self._fetch()  # nobody waits for it
        if not self._keys:
            raise AuthUnavailable
        return self._keys.get(key_id)

    def _fetch(self) -> asyncio.Task[None] | None:
        """Return the fetch that is going on, a new one, or None while it is too soon for another."""
        going_on = self._fetching and not self._fetching.done()
        if not going_on:
            if time.monotonic() - self._asked_at < AGAIN_SECONDS:
                return None
            self._asked_at = time.monotonic()
            self._fetching = asyncio.create_task(self._renew())
        return self._fetching

    async def _renew(self) -> None:
        try:
            keys = await to_thread.run_sync(fetched, self._url, abandon_on_cancel=True)
        except (httpx.HTTPError, ValueError) as error:
            log.error("no keys from the token issuer: %s", error)
        else:
            self._keys, self._fetched_at = keys, time.monotonic()


def fetched(url: str) -> dict[str, jwt.PyJWK]:
    """Fetch the keys that may have signed a token.

    Raises:
        httpx.HTTPError: nothing answers, or not with 200.
        ValueError: the answer is too long or too slow, is no key set, or has no key that can be used.
    """
    body, until = b"", time.monotonic() + ANSWER_SECONDS
    trust_env = not is_loopback(httpx.URL(url).host)  # a proxy can't reach this machine's own loopback
    with httpx.stream("GET", url, timeout=ANSWER_SECONDS, trust_env=trust_env) as answer:
        if answer.status_code != 200:
            raise ValueError(f"it answered {answer.status_code}")
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > MOST_BYTES or time.monotonic() > until:
                raise ValueError("its answer is too long or too slow")
    document = json.loads(body)
    listed = cast(dict[str, Any], document).get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("its answer is no JSON Web Key Set")
    keys = {str(one["kid"]): key for one in cast(list[Any], listed) if (key := _usable(one))}
    if not keys:
        raise ValueError(f"it has no key with an id for {' or '.join(ALGORITHMS)}")
    return keys


def _usable(one: Any) -> jwt.PyJWK | None:
    """Return the key if it may check a signature here: never a secret, a weak key, or one for something else."""
    if not isinstance(one, dict):
        return None
    fields = cast(dict[str, Any], one)
    if fields.get("kty") not in ("RSA", "EC") or not fields.get("kid") or fields.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(fields)
    except jwt.PyJWTError:
        return None
    weak = isinstance(key.key, RSAPublicKey) and key.key.key_size < RSA_BITS
    return None if weak or key.algorithm_name not in ALGORITHMS else key
