"""RabbitMQ's management API: vhost, user, permissions and policies. Safe to repeat; each call says what it did."""

import base64
import binascii
import hashlib
from typing import Any, cast
from urllib.parse import quote, urlsplit

import httpx

from cli.errors import ClientError
from shared.loopback import is_loopback
from shared.topology import Account, Policy

Json = dict[str, Any]

ANSWER_SECONDS = 10.0
CREATED, CHANGED, THERE = "created", "changed", "there already"
HASHES = {"rabbit_password_hashing_sha256": hashlib.sha256, "rabbit_password_hashing_sha512": hashlib.sha512}
SALT_BYTES = 4
UNAUTHORIZED, NOT_FOUND = 401, 404


class AdminUnreachable(ClientError):
    """The management API does not answer, or not yet."""


class AdminRefused(ClientError):
    """It answered that it will not."""


class BrokerAdmin:
    """One broker, as its administrator sees it.

    Every call raises:
        AdminUnreachable: trying again later may help.
        AdminRefused: it will not.
    """

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not parts.username:
            raise AdminRefused("the management API needs an address like http://user:password@127.0.0.1:15672")
        base = httpx.URL(url)
        self.user = base.username
        self._where = f"{base.scheme}://{base.netloc.decode()}"  # without the password
        self._http = httpx.Client(
            base_url=base.copy_with(path=f"{base.path.rstrip('/')}/api/"),
            transport=transport,
            timeout=ANSWER_SECONDS,
            trust_env=not is_loopback(httpx.URL(url).host),
        )

    def ensure_vhost(self, name: str) -> str:
        return self._ensure(f"vhosts/{_part(name)}", {})

    def ensure_user(self, account: Account) -> str:
        """Have the user, with this password; tags that it has stay."""
        path = f"users/{_part(account.user)}"
        known = self._get(path)
        if known and _has_password(known, account.password):
            return THERE
        tags = cast(list[str] | str, known["tags"]) if known else ""  # a list, or in RabbitMQ before 3.9 its text
        tags = tags if isinstance(tags, str) else ",".join(tags)
        self._call("PUT", path, {"password": account.password, "tags": tags})
        return CHANGED if known else CREATED

    def ensure_rights(self, account: Account, pattern: str) -> str:
        """Let the user declare, write to and read from what matches the pattern, and nothing else."""
        path = f"permissions/{_part(account.vhost)}/{_part(account.user)}"
        return self._ensure(path, dict.fromkeys(("configure", "write", "read"), pattern))

    def ensure_policy(self, vhost: str, policy: Policy) -> str:
        # Priority 1: ahead of one for everything, as it is often made with the priority 0 that is the default.
        wanted = {"pattern": policy.pattern, "definition": policy.definition, "priority": 1, "apply-to": "queues"}
        return self._ensure(f"policies/{_part(vhost)}/{_part(policy.name)}", wanted)

    def close(self) -> None:
        self._http.close()

    def _ensure(self, path: str, wanted: Json) -> str:
        known = self._get(path)
        if known is not None and wanted.items() <= known.items():
            return THERE
        self._call("PUT", path, wanted)
        return CREATED if known is None else CHANGED

    def _get(self, path: str) -> Json | None:
        answer = self._call("GET", path)
        return None if answer.status_code == NOT_FOUND else cast(Json, answer.json())

    def _call(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise AdminUnreachable(f"no answer from the management API at {self._where} ({reason})") from error
        if answer.is_server_error:
            raise AdminUnreachable(f"the management API at {self._where} answers {answer.status_code}")
        if answer.status_code == UNAUTHORIZED:
            raise AdminRefused(
                f"the management API at {self._where} refuses the user {self.user!r}: it has to exist, with that "
                "password and the tag `administrator`"
            )
        if answer.is_error and not (method == "GET" and answer.status_code == NOT_FOUND):
            said = f"{answer.status_code}: {answer.text[:500].strip()}"
            raise AdminRefused(f"the management API at {self._where} refuses {method} {path} ({said})")
        return answer


def _part(name: str) -> str:
    return quote(name, safe="")  # the vhost "/" is a part of a path too


def _has_password(user: Json, password: str) -> bool:
    """Whether that is the user's password, by the salted hash that RabbitMQ tells an administrator."""
    make = HASHES.get(str(user.get("hashing_algorithm")))
    try:
        salted = base64.b64decode(str(user.get("password_hash")), validate=True)
    except binascii.Error:
        return False
    salt = salted[:SALT_BYTES]
    return make is not None and salted[SALT_BYTES:] == make(salt + password.encode()).digest()
