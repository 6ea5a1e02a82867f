"""What a voice of one's own costs the first time, the second time, and when ten workers want it at once.

The real service on private servers: RabbitMQ, Redis, S3, and workers of the builtin engine. What was computed and what
was found is counted by the workers' own metrics. `python -m bench.voice_cache`; bench.voices has it in its table.
"""

import json
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx

from audio.encoding import encode
from bench.figures import Figure, show
from bench.jobs import finished
from bench.processes import new_worker
from cli.stack.fleet import Fleet
from cli.stack.probes import LOOPBACK, free_ports
from cli.stack.process import kill_all, wait_ready
from shared.jobs import Lane
from worker.engine import EngineOptions, Utterance, load_engine

WORKERS = 10
CLIPS = (
    "The boy was there when the sun rose, and we all heard her say good morning to everyone in the house.",
    "A rod is used to catch pink salmon, and the source of the huge river is the clear spring in the hills.",
)
SENTENCE = "This sentence was never spoken by the one whose voice it is, take number"
EMBEDDINGS, IMITATIONS = "emotivoice_embedding_cache_total", "emotivoice_imitation_cache_total"


def main() -> None:
    show(cache_figures(), title="Voices of one's own: the first time and after that")


def cache_figures() -> list[Figure]:
    """Measure it with a fleet of its own; that takes some minutes."""
    os.environ["EMOTIVOICE_ENGINE"] = "builtin"
    with tempfile.TemporaryDirectory() as folder, Fleet(Path(folder) / "data") as fleet:
        ports = [fleet.health_ports[Lane.INTERACTIVE], fleet.health_ports[Lane.ASSEMBLY]]
        with httpx.Client(base_url=fleet.url, timeout=60, trust_env=False) as client:
            return [*_one_after_another(client, ports), *_at_once(client, fleet, ports)]


def _one_after_another(client: httpx.Client, ports: Sequence[int]) -> list[Figure]:
    clip = _clip(CLIPS[0])
    voice, first = _timed(lambda: _with_preview(client, _voice(client, clip)))
    (_, spoken), (_, usual) = _job(client, 1, voice=voice), _job(client, 1, voice="en-slt")
    before = _counted(ports, EMBEDDINGS)
    other, again = _timed(lambda: _ready(client, _voice(client, clip)))
    embedded = (_counted(ports, EMBEDDINGS) - before)["computed"]
    _with_preview(client, other)  # which would be counted with what comes next
    return [
        Figure("clip sent to preview spoken", first, "s"),
        Figure("a sentence in that voice then", spoken, "s"),
        Figure("the same sentence in the engine's own voice", usual, "s"),
        Figure("the same clip sent again, to ready", again, "s"),
        Figure("embeddings computed for that", embedded, "", "0", embedded == 0),
    ]


def _at_once(client: httpx.Client, fleet: Fleet, ports: Sequence[int]) -> list[Figure]:
    """As many jobs as workers, all in a voice that was checked just now and that no worker has imitated."""
    others = free_ports(WORKERS - 1)
    workers = [new_worker(fleet, f"worker-{port}", port=port) for port in others]
    try:
        for worker in workers:
            worker.launch()
        wait_ready(workers)
        every = [*ports, *others]
        before = {name: _counted(every, name) for name in (EMBEDDINGS, IMITATIONS)}
        voice = _ready(client, _voice(client, _clip(CLIPS[1])))
        with ThreadPoolExecutor(WORKERS) as pool:
            jobs = list(pool.map(partial(_job, client, voice=voice), range(WORKERS)))
        embedded, imitated = (_counted(every, name) - before[name] for name in (EMBEDDINGS, IMITATIONS))
    finally:
        kill_all(workers)
    found = imitated["memory"] + imitated["s3"]
    return [
        Figure(f"{WORKERS} jobs at once in a new voice, the last one spoken", max(took for _, took in jobs), "s"),
        Figure("embeddings computed for these", embedded["computed"], "", "1", embedded["computed"] == 1),
        Figure("imitations computed for these", imitated["computed"], "", "1", imitated["computed"] == 1),
        Figure("imitations found in memory or S3", 100 * found / imitated.total(), "%"),
    ]


def _clip(text: str) -> bytes:
    speech = load_engine("builtin", EngineOptions()).synthesize([Utterance(text, "en-slt")])[0]
    return encode(speech.waveform, format="wav", sample_rate=16_000)


def _voice(client: httpx.Client, clip: bytes) -> str:
    options = json.dumps({"language": "en", "consent": True})
    answer = client.post("/v1/voices", files={"file": ("clip.wav", clip)}, data={"options": options})
    answer.raise_for_status()
    return answer.json()["id"]


def _ready(client: httpx.Client, voice: str) -> str:
    while (found := client.get(f"/v1/voices/{voice}").json())["state"] == "checking":
        time.sleep(0.05)
    if found["state"] != "ready":
        raise SystemExit(f"a clip of the bench will not do: {found['problems']}")
    return voice


def _with_preview(client: httpx.Client, voice: str) -> str:
    _ready(client, voice)
    while not client.get(f"/v1/voices/{voice}").json()["links"]["preview"]:
        time.sleep(0.05)
    return voice


def _job(client: httpx.Client, number: int, *, voice: str) -> tuple[str, float]:
    """Speak a sentence; return the job and how long that took."""

    def speak() -> str:
        answer = client.post("/v1/jobs", json={"text": f"{SENTENCE} {number}.", "voice": voice})
        answer.raise_for_status()
        return finished(client, answer.json()["id"])["id"]

    return _timed(speak)


def _timed(work: Callable[[], str]) -> tuple[str, float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started


def _counted(ports: Sequence[int], name: str) -> Counter[str]:
    """Return a counter of all workers, by its label."""
    found: Counter[str] = Counter()
    for port in ports:
        page = httpx.get(f"http://{LOOPBACK}:{port}/metrics", timeout=30, trust_env=False).text
        for label, number in re.findall(rf'^{name}\{{result="(\w+)"\}} (\S+)$', page, re.MULTILINE):
            found[label] += int(float(number))
    return found


if __name__ == "__main__":
    main()
