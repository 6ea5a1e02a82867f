"""A clip becomes a voice that speaks, and is gone when it is deleted: by curl, by the command, and for one job."""

import hashlib
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis

from audio.encoding import decode, encode
from tests.e2e.conftest import Product
from tests.e2e.sound import level_dbfs
from tests.waiting import wait_for
from voices.activity import speech_only
from voices.encoder import load_encoder, similarity

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

Json = dict[str, Any]

CLIP = (
    "The boy was there when the sun rose, and we all heard her say good morning to everyone in the house. "
    "Please bring your umbrella tomorrow."
)
HELD_OUT = "A rod is used to catch pink salmon. The source of the huge river is the clear spring."
SECONDS = 90.0  # for an engine to find out how to speak like a clip
SAID = "This sentence was never spoken by the one whose voice it is."


def stranger(text: str, path: Path) -> Path:
    """Record somebody who is none of the engine's voices."""
    subprocess.run(["flite", "-voice", "kal", "-t", text, "-o", path], check=True, timeout=30)
    return path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the stranger said: the clip as WAV and as MP3, and another sentence."""
    folder = tmp_path_factory.mktemp("clips")
    clip = decode(stranger(CLIP, folder / "clip.wav").read_bytes())
    (folder / "clip.mp3").write_bytes(encode(clip, format="mp3", sample_rate=24_000))
    stranger(HELD_OUT, folder / "held-out.wav")
    return folder


def likeness(audio: bytes, recorded: Path) -> float:
    """Return how much speech is like what the stranger says elsewhere."""
    spoken, held_out = (speech_only(decode(data)) for data in (audio, (recorded / "held-out.wav").read_bytes()))
    encoder = load_encoder()
    return similarity(encoder.embed(spoken), encoder.embed(held_out))


def curl(product: Product, path: str, *options: str) -> tuple[int, bytes]:
    """Return the status and the body, as curl gets them."""
    command = ["curl", "-s", "--max-time", "30", "-w", "\n%{http_code}", *options, f"{product.fleet.url}{path}"]
    printed = subprocess.run(command, capture_output=True, check=True, timeout=40).stdout
    body, _, status = printed.rpartition(b"\n")
    return int(status), body


def made(product: Product, clip: Path, name: str) -> str:
    """Make a voice of the clip by curl, and return its id once it is ready."""
    options = json.dumps({"name": name, "language": "en", "consent": True})
    status, body = curl(product, "/v1/voices", "-F", f"file=@{clip}", "-F", f"options={options}")
    assert status == 202, body
    voice_id = json.loads(body)["id"]
    wait_for(lambda: shown(product, voice_id)["state"] != "checking", seconds=SECONDS)
    assert shown(product, voice_id)["state"] == "ready", shown(product, voice_id)
    return voice_id


def shown(product: Product, voice_id: str) -> Json:
    return json.loads(curl(product, f"/v1/voices/{voice_id}")[1])


def in_redis(product: Product, pattern: str) -> dict[str, str]:
    """Return the keys that are so, with the texts that are in them."""
    url = product.fleet.servers.environment()["EMOTIVOICE_REDIS_URL"]
    client: Any = redis.Redis.from_url(url, decode_responses=True)  # pyright: ignore[reportUnknownMemberType]
    with client:
        return {key: client.get(key) if client.type(key) == "string" else "" for key in client.scan_iter(match=pattern)}


def left(product: Product, voice_id: str, clip: Path) -> list[str]:
    """Return what is known of the voice and its clip, besides that it is gone and what the sweeper has to look at."""
    uuid, digest = voice_id.removeprefix("voice-"), hashlib.sha256(clip.read_bytes()).hexdigest()
    known = in_redis(product, f"*{uuid}*") | in_redis(product, f"*{digest}*")
    for notes in (f"voice:{voice_id}:audio:1", f"parent:{uuid}:counts", f"job:{uuid}:events"):
        known.pop(notes, "")  # addresses of audio that is not there any more, numbers and times
    record = json.loads(known.pop(f"voice:{voice_id}", '{"over": true}'))
    of_a_person = [f"record: {name}" for name in ("name", "consent", "report", "description") if record.get(name)]
    stored = [name for name in objects(product) if voice_id in name or digest in name]
    return [*known, *of_a_person, *stored, *([] if record["over"] else ["record"])]


def objects(product: Product) -> set[str]:
    """Return the names of all that the object store holds."""
    folder = product.fleet.servers.folder.path / "s3"
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_clip_becomes_a_voice_and_is_gone_when_it_is_deleted(product: Product, recorded: Path) -> None:
    plain = product.api.audio(product.api.spoken(SAID, voice="en-slt")["id"])
    before, clip = objects(product), recorded / "clip.wav"

    voice_id = made(product, clip, "Stranger")
    wait_for(lambda: shown(product, voice_id)["links"]["preview"], seconds=SECONDS)
    status, preview = curl(product, f"/v1/voices/{voice_id}/preview")
    job = product.api.spoken(SAID, voice=voice_id)

    assert status == 200
    assert decode(preview).seconds > 2
    assert level_dbfs(decode(preview)) > -35
    assert job["request"]["voice"] == voice_id
    assert likeness(product.api.audio(job["id"]), recorded) > likeness(plain, recorded) + 0.05
    assert len(left(product, voice_id, clip)) > 5

    assert curl(product, f"/v1/voices/{voice_id}", "-X", "DELETE") == (204, b"")

    status, gone = curl(product, f"/v1/jobs/{job['id']}/audio")
    assert (status, json.loads(gone)["code"]) == (410, "voice_deleted")
    assert curl(product, f"/v1/voices/{voice_id}")[0] == 404
    assert product.api.post(SAID, voice=voice_id).json()["code"] == "unknown_voice"
    wait_for(lambda: left(product, voice_id, clip) == [], seconds=30)
    assert objects(product) <= before


def test_the_command_makes_a_voice_of_an_mp3_and_deletes_it(product: Product, recorded: Path) -> None:
    about = ("--name", "By command", "--language", "en", "--consent")
    voice_id = re.findall(r"voice-[0-9a-f-]{36}", product.done("voices", "add", recorded / "clip.mp3", *about))[0]

    assert re.search(rf"{voice_id} +By command +en +ready", product.done("voices", "list"))
    assert "alike" in product.done("voices", "show", voice_id)
    assert product.done("voices", "delete", "--yes", voice_id) == f"deleted {voice_id}\n"
    assert voice_id not in product.done("voices")


def test_a_clip_that_will_not_do_is_told_with_advice(product: Product, tmp_path: Path) -> None:
    short = stranger("This recording is a little too short.", tmp_path / "short.wav")

    added = product.run("voices", "add", short, "--consent")
    said = product.run("say", SAID, "--like", short, "--consent", "-o", tmp_path / "said.wav")

    assert (added.returncode, said.returncode) == (1, 1)
    assert "3 to 30" in added.stderr.decode()
    assert "[poor_clip]" in said.stderr.decode()


@pytest.fixture
def served(recorded: Path) -> Iterator[str]:
    """A server of this machine that has the clips; it stands for a private store."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(recorded))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_job_may_bring_a_clip_from_a_url_that_is_allowed(product: Product, recorded: Path, served: str) -> None:
    plain = product.api.audio(product.api.spoken(SAID, voice="en-slt")["id"])

    job_id = product.api.submit(SAID, reference_audio_url=f"{served}/clip.mp3", reference_consent=True)
    job = product.api.finished(job_id, seconds=2 * SECONDS)

    assert job["state"] == "succeeded", job
    assert likeness(product.api.audio(job_id), recorded) > likeness(plain, recorded) + 0.05
    assert product.api.http.delete(f"/v1/jobs/{job_id}").status_code == 204
    wait_for(lambda: left(product, job["request"]["voice"], recorded / "clip.mp3") == [], seconds=30)


def test_an_address_of_our_own_network_is_refused(product: Product) -> None:
    answer = product.api.post(SAID, reference_audio_url="http://169.254.169.254/", reference_consent=True)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_clip_url")
