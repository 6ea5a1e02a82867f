"""Fetch a file from an address that a client names, by the rules of shared/outbound.py, each redirect by them anew."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO
from urllib.parse import urldefrag, urljoin

from shared.outbound import Reply, Rules, TargetRefused, TargetUnreachable, asking

MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_BLOCK_BYTES = 64 * 1024
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "EmotiVoice-Fleet"}


class UnwantedAnswer(Exception):
    """What came back is not what was asked for; the sentence says why, and holds nothing of the body."""


def fetch(  # noqa: PLR0913 - every argument by name
    url: str, file: BinaryIO, *, rules: Rules, types: Sequence[str], seconds: float, most_bytes: int
) -> None:
    """Write what is at the address into the file.

    Args:
        types: the content types that are taken; one that ends with / stands for all that begin so.
        seconds: for all of it, redirects included, but for the resolver, which has limits of its own.
    Raises:
        TargetRefused: the address, or one that it leads to, may not be asked.
        TargetUnreachable: nothing came back, or not all of it.
        UnwantedAnswer: there is no such file, or it is too large, or of another type.
    """
    until = time.monotonic() + seconds
    for _ in range(MOST_REDIRECTS + 1):
        with asking("GET", url, rules=rules, headers=_HEADERS, seconds=_left(until)) as reply:
            if reply.status not in _REDIRECTS:
                _check(reply, types, most_bytes)
                _write(reply, file, most_bytes)
                return
            rules = replace(rules, http=rules.http and not url.lower().startswith("https:"))  # never back from TLS
            url = urldefrag(urljoin(url, reply.headers.get("location", ""))).url
    raise TargetRefused(f"it leads from one address to another more than {MOST_REDIRECTS} times")


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TargetUnreachable("it did not answer in time")
    return left


def _check(reply: Reply, types: Sequence[str], most_bytes: int) -> None:
    if reply.status != 200:
        raise UnwantedAnswer(f"its server answered with the status {reply.status}")
    found = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not any(found == one or (one.endswith("/") and found.startswith(one)) for one in types):
        raise UnwantedAnswer(f"its content type is {found[:100]!r}; {', '.join(types)} are taken")
    if reply.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnwantedAnswer("it is compressed on the way, which was not asked for")
    if reply.missing_bytes > most_bytes:
        raise UnwantedAnswer(f"it has {reply.missing_bytes} bytes; {most_bytes} are the most")


def _write(reply: Reply, file: BinaryIO, most_bytes: int) -> None:
    taken = 0
    while block := reply.read(_BLOCK_BYTES):
        taken += len(block)
        if taken > most_bytes:
            raise UnwantedAnswer(f"it has more than {most_bytes} bytes, which are the most")
        file.write(block)
    if reply.missing_bytes:
        raise TargetUnreachable("its answer ended before its end")
