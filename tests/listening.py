"""A client of server-sent events, as the HTML standard describes it."""

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """One event as it arrived."""

    name: str
    id: str
    data: Any


@contextmanager
def listening(http: Any, job_id: str, *, after: str = "", query: str = "") -> Generator[tuple[Any, Iterator[Event]]]:
    """Within the context, the answer and its events as they come; `http` is a client of httpx or Starlette."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
    params = {"last_event_id": query} if query else {}
    with http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers, params=params) as answer:
        yield answer, parsed(answer.iter_lines())


def heard(http: Any, job_id: str, *, after: str = "", query: str = "") -> list[Event]:
    """Return all events until the server ends the stream."""
    with listening(http, job_id, after=after, query=query) as (answer, events):
        assert answer.status_code == 200, answer.read()
        return list(events)


def parsed(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if line and name:  # else a comment
            fields[name] = value.removeprefix(" ")
        elif not line:
            if "data" in fields:
                yield Event(fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"]))
            fields = {}
