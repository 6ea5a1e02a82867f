"""Requests to addresses that clients name: only to the public internet, whatever name, redirect or resolver says.

A name is resolved once for each connection, what it resolves to is checked, and the connection goes to that very
address: a resolver that answers otherwise the next time changes nothing. TLS still checks the name. Redirects are not
followed; whoever wants to follow one checks its address by another request (shared/fetching.py). Proxies of the
environment are not asked: they would resolve the name themselves.
"""

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL = 2048
_URL = re.compile(r"[!-\[\]-~]+")  # printable ASCII, but for the backslash, which some parsers take for a slash
_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.?")

# What Python 3.11 may take for global, and is not, or leads elsewhere than it says. IANA's special-purpose registries.
_NOT_PUBLIC_V4 = ("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4")
_METADATA_V4 = "168.63.129.16/32"  # Azure's, in a public network; the others are link-local or private
_PUBLIC_V6 = ip_network("2000::/3")  # so no IPv4-mapped, -compatible or translated (64:ff9b::) address, no ULA
_NOT_PUBLIC_V6 = ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")  # Teredo, documentation, 6to4

_REFUSED = tuple(map(ip_network, (*_NOT_PUBLIC_V4, _METADATA_V4, *_NOT_PUBLIC_V6)))


class TargetRefused(Exception):
    """The address may not be asked; the sentence says why, and names no address that only we can see."""


class TargetUnreachable(Exception):
    """It does not answer, or not in time, or not by HTTP. The sentence tells no more than its owner may know."""


@dataclass(frozen=True)
class Target:
    """A URL, taken apart."""

    tls: bool
    host: str  # as a name, or as an address without brackets
    port: int
    path: str  # with the query

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


@dataclass(frozen=True)
class Rules:
    """What an operator allows beyond the rules here."""

    http: bool = False
    private: tuple[Network, ...] = ()  # networks of ours that may be asked


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


def networks(names: str) -> tuple[Network, ...]:
    """Return the networks of a list such as `10.1.0.0/16 fd00::/8`.

    Raises:
        ValueError: one of them is none.
    """
    return tuple(ip_network(name) for name in names.split())


def is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and (address not in _PUBLIC_V6 or address.scope_id):
        return False
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in _REFUSED if network.version == address.version)


def parsed(url: str, rules: Rules) -> Target:
    """Return the URL taken apart, without asking anybody.

    Raises:
        TargetRefused: it is none that may be asked, whatever its name resolves to.
    """
    if not _URL.fullmatch(url) or len(url) > LONGEST_URL:
        raise TargetRefused(f"a URL has at most {LONGEST_URL} characters: printable ASCII, no space and no backslash")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise TargetRefused("it is no URL") from error
    schemes = ("https", "http") if rules.http else ("https",)
    if parts.scheme not in schemes:
        raise TargetRefused(f"it has to begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if "@" in parts.netloc:
        raise TargetRefused("it may hold no user or password")
    if parts.fragment or port == 0:
        raise TargetRefused("it may hold no fragment, and not the port 0")
    tls = parts.scheme == "https"
    target = Target(tls, host, port or (443 if tls else 80), _path(parts.path, parts.query))
    if literal := _literal(host):
        _check(literal, rules)
    elif not _NAME.fullmatch(host):
        raise TargetRefused("its host is neither a name in ASCII nor an address")
    return target


def send(  # noqa: PLR0913 - every argument by name
    method: str,
    url: str,
    *,
    rules: Rules,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    seconds: float = 15.0,
    most_bytes: int = 64 * 1024,
) -> Answer:
    """Send a request and return what came back, cut off after so many bytes of the body. Redirects are answers.

    Args:
        seconds: for all of it, but for the resolver, which has limits of its own.
    Raises:
        TargetRefused: it may not be asked.
        TargetUnreachable: nothing came back.
    """
    with asking(method, url, rules=rules, body=body, headers=headers, seconds=seconds) as reply:
        return Answer(reply.status, reply.headers, reply.read(most_bytes))


@contextmanager
def asking(  # noqa: PLR0913 - every argument by name
    method: str,
    url: str,
    *,
    rules: Rules,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    seconds: float,
) -> Generator["Reply"]:
    """Send a request; within the context what comes back can be read, piece by piece.

    Args, Raises: as `send`.
    """
    target = parsed(url, rules)
    addresses = resolved(target, rules)
    connection = _Connection(target, addresses, seconds=seconds)
    connection.connect_in_time()
    deadline = threading.Timer(connection.seconds_left, connection.break_off)
    deadline.daemon = True
    deadline.start()
    try:
        with connection.translated():
            connection.request(method, target.path, body or None, {"Host": target.authority, **(headers or {})})
            response = connection.getresponse()
        yield Reply(response, connection)
    finally:
        deadline.cancel()
        connection.close()


class Reply:
    """An answer whose body is still to come. Names of headers are in lower case."""

    def __init__(self, response: http.client.HTTPResponse, connection: "_Connection") -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self._response = response
        self._connection = connection

    def read(self, most_bytes: int) -> bytes:
        """Return the next bytes of the body; none at its end.

        Raises:
            TargetUnreachable: the connection broke, or the time is over.
        """
        with self._connection.translated():
            return self._response.read(most_bytes)

    @property
    def missing_bytes(self) -> int:
        """How many were promised and have not come."""
        return self._response.length or 0


def resolved(target: Target, rules: Rules) -> list[Address]:
    """Return the addresses of a host that may be asked.

    Raises:
        TargetRefused: all that it has may not.
        TargetUnreachable: it has none.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TargetUnreachable("its name could not be resolved") from error
    addresses = list(dict.fromkeys(ip_address(str(entry[4][0])) for entry in found))
    allowed = [address for address in addresses if _allowed(address, rules)]
    if not allowed:
        raise TargetRefused("its name resolves to no public address")
    return allowed


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _check(address: Address, rules: Rules) -> None:
    if not _allowed(address, rules):
        raise TargetRefused("its host is no public address")


def _allowed(address: Address, rules: Rules) -> bool:
    return is_public(address) or any(address in network for network in rules.private)


def _path(path: str, query: str) -> str:
    return (path or "/") + (f"?{query}" if query else "")


class _Connection(http.client.HTTPConnection):
    """Connects to an address that was checked, and to no other."""

    def __init__(self, target: Target, addresses: Iterable[Address], *, seconds: float) -> None:
        super().__init__(target.host, target.port)
        self.auto_open = 0  # else it would connect by itself, to whatever the name resolves to
        self._target = target
        self._addresses = list(addresses)
        self._until = time.monotonic() + seconds
        self.broken_off = False
        self._connected: socket.socket | None = None  # `sock` is let go of once an answer without a length has begun

    @property
    def seconds_left(self) -> float:
        return max(self._until - time.monotonic(), 0.001)

    @contextmanager
    def translated(self) -> Generator[None]:
        """What fails within the context is TargetUnreachable."""
        try:
            yield
            if self.broken_off:  # which looks like the end of what was read
                raise TimeoutError
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TargetUnreachable(_why(error, late=self.broken_off)) from error

    def connect_in_time(self) -> None:
        """Connect to the first address that answers.

        Raises:
            TargetUnreachable: none does.
        """
        failure: Exception = TimeoutError()
        for address in self._addresses:
            try:
                # Not socket.create_connection, which asks the resolver again.
                self.sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
                self.sock.settimeout(self.seconds_left)
                self.sock.connect((str(address), self._target.port))
                if self._target.tls:
                    context = ssl.create_default_context()
                    self.sock = context.wrap_socket(self.sock, server_hostname=self._target.host.rstrip("."))
                self._connected = self.sock
                return
            except (OSError, ValueError) as error:
                self.close()
                failure = error
        raise TargetUnreachable(_why(failure, late=False)) from failure

    def break_off(self) -> None:
        """Called when the time is over: whoever answers byte by byte, each in time, would keep us for ever."""
        self.broken_off = True
        if sock := self._connected:
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # of an SSLSocket, without its farewell
            except OSError:
                return


_REASONS: tuple[tuple[type[Exception], str], ...] = (  # the first that fits
    (TimeoutError, "it did not answer in time"),
    (ssl.SSLError, "no TLS connection could be made"),
    (ConnectionRefusedError, "it refused the connection"),
    (http.client.HTTPException, "its answer is no HTTP"),
)


def _why(error: Exception, *, late: bool) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    found = TimeoutError() if late else error
    return next((why for kind, why in _REASONS if isinstance(found, kind)), "the connection failed")
