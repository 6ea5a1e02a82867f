"""A token issuer for tests: real keys, real tokens, and a key set behind a real HTTP server with knobs."""

import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

Json = dict[str, Any]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

SECRET = "a secret of the tests, which is long enough"
ISSUER, AUDIENCE = "https://issuer.test/", "emotivoice"
EVERYTHING = "speech:write jobs:read"


@cache
def rsa_key(name: str = "one", bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the key of that name; making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(name: str = "one") -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def claims(**changes: object) -> Json:
    """Return claims that are good for an hour, with those changes; None takes a claim away."""
    now = int(time.time())
    usual = {"tenant": "acme", "scope": EVERYTHING, "iss": ISSUER, "aud": AUDIENCE, "exp": now + 3600}
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def by_secret(secret: str = SECRET, algorithm: str = "HS256", **changes: object) -> str:
    return jwt.encode(claims(**changes), secret, algorithm)


def signed(key: PrivateKey, kid: str | None = "one", headers: Json | None = None, **changes: object) -> str:
    algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    named = {"kid": kid} if kid is not None else {}
    return jwt.encode(claims(**changes), key, algorithm, headers={**named, **(headers or {})})


def public(key: PrivateKey, kid: str | None = "one", **fields: object) -> Json:
    """Return the JSON Web Key of its public half."""
    if isinstance(key, rsa.RSAPrivateKey):
        told: Json = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        told = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**told, **({"kid": kid} if kid is not None else {}), **fields}


@dataclass
class Issuer:
    """What the key set's server answers: `keys`, or `body` as it is; after `delay` seconds."""

    url: str
    keys: list[Json]
    status: int = 200
    body: bytes | None = None
    delay: float = 0.0
    asked: list[float] = field(default_factory=list[float])


@contextmanager
def issuing(*keys: Json) -> Generator[Issuer]:
    """Serve these keys on a free loopback port."""
    issuer = Issuer("", list(keys))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(time.monotonic())
            time.sleep(issuer.delay)
            body = json.dumps({"keys": issuer.keys}).encode() if issuer.body is None else issuer.body
            self.send_response(issuer.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        issuer.url = f"http://127.0.0.1:{server.server_port}/keys"
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
