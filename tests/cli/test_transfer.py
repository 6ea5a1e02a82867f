"""Models on their way from and to an object store that is slow, cut or wrong."""

import hashlib
import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from cli import transfer
from cli.errors import ClientError
from shared.errors import StorageUnavailable
from tests.fakes import InMemoryObjectStore
from worker.engine.emotivoice.config import OFFICIAL
from worker.engine.emotivoice.errors import ModelFolderError
from worker.engine.emotivoice.manifest import FileEntry, Manifest

PREFIX = "models/emotivoice/"
WEIGHTS = bytes(range(256)) * 64
CHUNK = 1000


class CutObjectStore(InMemoryObjectStore):
    """Sends small chunks; `cuts` is how many of the next reads of the weights break off after three of them."""

    def __init__(self) -> None:
        super().__init__()
        self.cuts = self.outages_after_a_cut = 0
        self.read_from: list[int] = []

    def read(self, key: str, *, offset: int = 0, length: int = 0) -> Iterator[bytes]:
        whole = b"".join(super().read(key, offset=offset, length=length))
        if key.endswith("model.safetensors"):
            self.read_from.append(offset)
        for start in range(0, len(whole), CHUNK):
            if self.cuts and start == 3 * CHUNK:
                self.cuts -= 1
                self.outages = self.outages_after_a_cut
                raise StorageUnavailable("IncompleteRead")
            yield whole[start : start + CHUNK]


def model(weights: bytes = WEIGHTS, *, table: bool = True, adapter: bool = False) -> dict[str, bytes]:
    """The files of a converted folder; nobody looks into them on the way."""
    files = {"model.safetensors": weights, "speakers": b"8051\n", "tokenlist": b"_\n", "vocab.txt": b"[PAD]\n"}
    if table:
        files["voices.md"] = b"| 8051 |\n"
    if adapter:
        files["speaker_adapter.safetensors"] = b"fitted"
    revision = hashlib.sha256(weights).hexdigest()
    entries = {name: FileEntry(len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()}
    manifest = Manifest("fp32", revision, revision, OFFICIAL, {}, 1, entries, "test")
    return files | {"manifest.json": json.dumps(asdict(manifest)).encode()}


def stored(files: dict[str, bytes]) -> CutObjectStore:
    store = CutObjectStore()
    store.objects = {PREFIX + name: data for name, data in files.items()}
    return store


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Counted:
    """A bar that remembers."""

    def __init__(self) -> None:
        self.total = self.count = 0

    @contextmanager
    def __call__(self, total: int) -> Generator[Callable[[int], None]]:
        self.total = total
        yield self.add

    def add(self, count: int) -> None:
        self.count += count


@pytest.fixture
def bar() -> Counted:
    return Counted()


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def pull(bar: Counted, naps: list[float], tmp_path: Path) -> Callable[[InMemoryObjectStore], list[str]]:
    def pull(store: InMemoryObjectStore) -> list[str]:
        turn = transfer.Turn(sleep=naps.append)
        return transfer.pull(store, PREFIX, tmp_path / "model", bar=bar, turn=turn)[1]

    return pull


Pull = Callable[[InMemoryObjectStore], list[str]]


def test_a_model_is_pulled(pull: Pull, bar: Counted, tmp_path: Path) -> None:
    files = model()

    came = pull(stored(files))

    assert content(tmp_path / "model") == files
    assert sorted(came) == sorted(files.keys() - {"manifest.json"})
    assert bar.count == bar.total == sum(len(files[name]) for name in came)


def test_what_is_there_and_right_does_not_come_again(pull: Pull, tmp_path: Path) -> None:
    files = model()
    store = stored(files)
    pull(store)

    assert pull(store) == []
    (tmp_path / "model/tokenlist").write_bytes(b"?\n")
    assert pull(store) == ["tokenlist"]
    assert content(tmp_path / "model") == files
    assert store.read_from == [0]


def test_a_connection_that_is_cut_goes_on_where_it_was(
    pull: Pull, bar: Counted, naps: list[float], tmp_path: Path
) -> None:
    files = model()
    store = stored(files)
    store.cuts = 3

    pull(store)

    assert content(tmp_path / "model") == files
    assert store.read_from == [0, 3000, 6000, 9000]
    assert naps == [1, 1, 1]  # something came each time
    assert bar.count == bar.total


def test_a_pull_that_gave_up_goes_on_next_time(pull: Pull, naps: list[float], tmp_path: Path) -> None:
    files = model()
    store = stored(files)
    store.cuts = 1
    store.outages_after_a_cut = transfer.PATIENCE

    with pytest.raises(StorageUnavailable, match="switched off"):
        pull(store)
    assert not (tmp_path / "model/manifest.json").exists()
    assert naps == [1, 2, 4, 8, 10]
    store.outages = 0
    pull(store)

    assert content(tmp_path / "model") == files
    assert store.read_from == [0, 3000]


def test_a_model_that_was_there_stays_until_the_new_one_is_complete(pull: Pull, tmp_path: Path) -> None:
    old, new = model(), model(WEIGHTS[::-1], table=False)
    pull(stored(old))
    store = stored(new)
    del store.objects[f"{PREFIX}vocab.txt"]
    store.objects[f"{PREFIX}manifest.json"] = model(WEIGHTS[::-1] + b"1", table=False)["manifest.json"]

    with pytest.raises(ClientError, match=r"model\.safetensors has 16,384 bytes in the store; its manifest .* 16,385"):
        pull(store)
    assert content_of_files(tmp_path / "model") == old
    pull(stored(new))

    assert content(tmp_path / "model") == new


def test_an_adapter_comes_with_its_model_and_goes_where_the_store_has_none(pull: Pull, tmp_path: Path) -> None:
    pull(stored(model(adapter=True)))
    assert content(tmp_path / "model") == model(adapter=True)

    assert pull(stored(model())) == []
    assert content(tmp_path / "model") == model()


def content_of_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_what_was_left_of_another_model_is_thrown_away(pull: Pull, bar: Counted, tmp_path: Path) -> None:
    files = model()
    write(tmp_path / "model/.pull", {"model.safetensors.part": b"other" * 100, "speakers": b"0000\n"})
    store = stored(files)

    pull(store)

    assert content(tmp_path / "model") == files
    assert store.read_from == [500, 0]
    assert bar.count == bar.total


@pytest.mark.parametrize("left", [len(WEIGHTS), len(WEIGHTS) + 7])
def test_what_was_left_may_be_as_long_as_the_file_or_longer(pull: Pull, tmp_path: Path, left: int) -> None:
    write(tmp_path / "model/.pull", {"model.safetensors.part": b"x" * left})

    pull(stored(model()))

    assert content(tmp_path / "model") == model()


@pytest.mark.parametrize("changed", [WEIGHTS[:-1] + b"?", WEIGHTS + b"?"])
def test_a_file_that_was_changed_in_the_store_is_refused(pull: Pull, tmp_path: Path, changed: bytes) -> None:
    store = stored(model())
    store.objects[f"{PREFIX}model.safetensors"] = changed

    with pytest.raises(ClientError, match=r"what the store holds as models/emotivoice/model.safetensors is not"):
        pull(store)
    assert content_of_files(tmp_path / "model") == {}


@pytest.mark.parametrize("name", ["manifest.json", "speakers"])
def test_a_file_that_the_store_does_not_have_is_named(pull: Pull, name: str) -> None:
    store = stored(model())
    del store.objects[PREFIX + name]

    with pytest.raises(ClientError, match=f"the store has no {PREFIX}{name}"):
        pull(store)


def test_a_manifest_is_read_with_care(pull: Pull, tmp_path: Path) -> None:
    store = stored(model())
    manifest = json.loads(store.objects[f"{PREFIX}manifest.json"])
    manifest["files"]["../outside"] = {"bytes": 1, "sha256": "0" * 64}
    store.objects[f"{PREFIX}manifest.json"] = json.dumps(manifest).encode()

    with pytest.raises(ModelFolderError, match="is damaged"):
        pull(store)
    assert list(tmp_path.iterdir()) == []


def test_a_stranger_s_file_is_left_alone(pull: Pull, tmp_path: Path) -> None:
    write(tmp_path / "model", {"vocab.txt": b"mine", "notes": b"mine too"})

    with pytest.raises(ClientError, match=r"holds vocab\.txt and no manifest\.json: it is no model"):
        pull(stored(model()))
    assert content(tmp_path / "model") == {"vocab.txt": b"mine", "notes": b"mine too"}


class HeldObjectStore(CutObjectStore):
    """Stops in the middle of the weights until it may go on."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__()
        self.objects = objects
        self.reached, self.go_on = threading.Event(), threading.Event()

    def read(self, key: str, *, offset: int = 0, length: int = 0) -> Iterator[bytes]:
        for count, chunk in enumerate(super().read(key, offset=offset, length=length)):
            if key.endswith("model.safetensors") and count == 3:
                self.reached.set()
                assert self.go_on.wait(10)
            yield chunk


@dataclass(frozen=True)
class Held:
    """A pull in another thread that is in the middle of its weights, with a lock of its own as in another process."""

    store: HeldObjectStore
    came: "Future[tuple[Manifest, list[str]]]"


@pytest.fixture
def held(tmp_path: Path) -> Generator[Held]:
    store = HeldObjectStore(stored(model()).objects)
    with ThreadPoolExecutor(1) as thread:
        came = thread.submit(transfer.pull, store, PREFIX, tmp_path / "model", bar=Counted())
        try:
            assert store.reached.wait(10)
            yield Held(store, came)
        finally:
            store.go_on.set()


def test_one_process_pulls_at_a_time(held: Held, pull: Pull, tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="another process is pulling"):
        pull(stored(model()))

    held.store.go_on.set()
    held.came.result()
    assert content(tmp_path / "model") == model()


def test_a_second_pull_waits_for_the_first_says_so_once_and_fetches_nothing_again(
    held: Held, bar: Counted, naps: list[float], tmp_path: Path
) -> None:
    store = stored(model())
    said: list[str] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            held.store.go_on.set()
            held.came.result()

    turn = transfer.Turn(60, said.append, nap)
    _, came = transfer.pull(store, PREFIX, tmp_path / "model", bar=bar, turn=turn)

    assert (came, store.read_from) == ([], [])
    assert said == [f"another process is pulling a model into {tmp_path / 'model'}: waiting for up to 60 s"]
    assert len(naps) == 3
    assert content(tmp_path / "model") == model()


@pytest.mark.usefixtures("held")
def test_a_second_pull_does_not_wait_for_ever(bar: Counted, naps: list[float], tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="another process is pulling"):
        transfer.pull(
            stored(model()), PREFIX, tmp_path / "model", bar=bar, turn=transfer.Turn(1.2, lambda _: None, naps.append)
        )
    assert sum(naps) == pytest.approx(1.2)


def test_a_pull_that_was_killed_holds_nobody_up(pull: Pull, tmp_path: Path) -> None:
    holding = (
        "import sys, time; from pathlib import Path; from cli import transfer\n"
        "with transfer._alone(Path(sys.argv[1]), transfer.Turn()):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", holding, tmp_path / "model"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ClientError, match="another process is pulling"):
            pull(stored(model()))
        other.kill()
    pull(stored(model()))

    assert content(tmp_path / "model") == model()


def test_a_model_is_pushed_with_its_manifest_last(bar: Counted, tmp_path: Path) -> None:
    files = model()
    store = InMemoryObjectStore()

    _, went = transfer.push(store, PREFIX, write(tmp_path / "model", files), bar=bar)

    assert store.objects == {PREFIX + name: data for name, data in files.items()}
    assert [*store.objects][-1] == f"{PREFIX}manifest.json"
    assert sorted(went) == sorted(files.keys() - {"manifest.json"})
    assert bar.count == bar.total == sum(len(files[name]) for name in went)


def test_what_is_stored_already_does_not_go_again(bar: Counted, tmp_path: Path) -> None:
    store = InMemoryObjectStore()
    folder = write(tmp_path / "model", model())
    transfer.push(store, PREFIX, folder, bar=bar)

    assert transfer.push(store, PREFIX, folder, bar=bar)[1] == []
    other = write(tmp_path / "other", model(WEIGHTS[::-1]))
    assert transfer.push(store, PREFIX, other, bar=bar)[1] == ["model.safetensors"]  # of the same size
    store.objects.pop(f"{PREFIX}speakers")
    assert transfer.push(store, PREFIX, other, bar=bar)[1] == ["speakers"]


def test_a_damaged_model_is_not_pushed(bar: Counted, tmp_path: Path) -> None:
    folder = write(tmp_path / "model", model() | {"model.safetensors": WEIGHTS[::-1]})
    store = InMemoryObjectStore()

    with pytest.raises(ModelFolderError, match="SHA-256 differs"):
        transfer.push(store, PREFIX, folder, bar=bar)
    assert store.objects == {}


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://models/emotivoice", "models", "emotivoice/"),
        ("s3://models/a/b/", "models", "a/b/"),
        ("s3://models", "models", ""),
    ],
)
def test_a_url_is_bucket_and_prefix(url: str, bucket: str, prefix: str) -> None:
    assert transfer.split_url(url) == (bucket, prefix)


@pytest.mark.parametrize("url", ["models/emotivoice", "http://host/models", "s3://", "s3:///models"])
def test_a_url_of_another_kind_is_told(url: str) -> None:
    with pytest.raises(ClientError, match="should look like s3://bucket/models/emotivoice"):
        transfer.split_url(url)


def test_the_counted_file_is_read_as_the_client_does() -> None:
    counted = Counted()
    file = transfer._Counted(io.BytesIO(b"12345"), counted.add)  # pyright: ignore[reportPrivateUsage]

    assert [file.read(2), file.read()] == [b"12", b"345"]
    assert counted.count == 5
