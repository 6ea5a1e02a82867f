"""How long a batch takes to become jobs, and what memory that needs: `python -m bench.batches --lines 100000`.

It starts the whole service on this machine, with the builtin servers and an engine that nobody asks: the bulk lane's
worker is stopped, so that the lines are only read and recorded.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import redis

from cli.stack.fleet import Fleet
from shared.jobs import Lane

OPTIONS = {"batch": {"template": "Dear {name}, happy new year!", "defaults": {"format": "mp3"}}}


def lines(count: int) -> Iterator[bytes]:
    yield json.dumps(OPTIONS).encode() + b"\n"
    for number in range(count):
        yield (
            json.dumps({"custom_id": f"greeting-{number}", "variables": {"name": f"Friend {number}"}}).encode() + b"\n"
        )


def peak_mib(pid: int) -> float:
    """Return the most memory that the process and its children have had, each for itself, added up."""
    status = Path(f"/proc/{pid}/status").read_text()
    own = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    below = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return own + sum(peak_mib(child) for child in below)


def redis_mib(client: Any) -> float:
    return client.info("memory")["used_memory"] / 2**20


def measured(count: int, folder: Path) -> dict[str, float]:
    os.environ["EMOTIVOICE_ENGINE"] = "bench.engines:humming"
    with Fleet(folder / "data") as fleet, httpx.Client(base_url=fleet.url, timeout=300, trust_env=False) as http:
        fleet.workers[Lane.BULK].stop()
        client: Any = cast(Any, redis.Redis).from_url(fleet.servers.environment()["EMOTIVOICE_REDIS_URL"])
        gateway, assembly = fleet.gateway.pid or 0, fleet.workers[Lane.ASSEMBLY].pid or 0
        before = {"gateway": peak_mib(gateway), "assembly": peak_mib(assembly), "redis": redis_mib(client)}
        body = b"".join(lines(count))
        began = time.monotonic()
        sent = http.post("/v1/batches", content=body, headers={"Content-Type": "application/jsonl"})
        sent.raise_for_status()
        accepted = time.monotonic() - began
        path = f"/v1/batches/{sent.json()['id']}"
        while http.get(path).json()["state"] == "ingesting":
            time.sleep(0.5)
        ingested = time.monotonic() - began
        began = time.monotonic()
        with http.stream("GET", f"{path}/manifest") as told:
            manifest = sum(1 for _ in told.iter_lines())
        return {
            "lines": count,
            "file_mib": len(body) / 2**20,
            "accepted_seconds": accepted,
            "ingested_seconds": ingested,
            "manifest_lines": manifest,
            "manifest_seconds": time.monotonic() - began,
            "gateway_mib_before": before["gateway"],
            "gateway_mib_peak": peak_mib(gateway),
            "assembly_mib_before": before["assembly"],
            "assembly_mib_peak": peak_mib(assembly),
            "redis_mib_before": before["redis"],
            "redis_mib_after": redis_mib(client),
        }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=int, default=100_000)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, value in measured(asked.lines, Path(folder)).items():
            print(f"{name:20} {value:12.1f}")


if __name__ == "__main__":
    main()
