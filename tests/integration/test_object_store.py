"""The object store, on a real S3."""

import io
import uuid
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from cli.stack.probes import free_ports
from shared.errors import AudioMissing, StorageUnavailable
from shared.object_store import S3ObjectStore
from shared.settings import SharedSettings

pytestmark = pytest.mark.integration

DATA = bytes(range(256)) * 1000


@pytest.fixture
def store(settings: SharedSettings) -> S3ObjectStore:
    store = S3ObjectStore(settings)
    store.make_bucket()
    return store


@pytest.fixture
def away(settings: SharedSettings) -> S3ObjectStore:
    """An object store that does not answer."""
    (port,) = free_ports(1)
    return S3ObjectStore(settings.model_copy(update={"s3_endpoint": f"http://127.0.0.1:{port}"}))


@pytest.fixture
def key(store: S3ObjectStore) -> str:
    """The key of an object that is there."""
    key = f"audio/{uuid.uuid4().hex}.wav"
    store.put(key, io.BytesIO(DATA), length=len(DATA), content_type="audio/wav")
    return key


def read(store: S3ObjectStore, key: str, *, offset: int = 0, length: int = 0) -> bytes:
    return b"".join(store.read(key, offset=offset, length=length))


def test_what_is_put_is_read(store: S3ObjectStore, key: str) -> None:
    assert read(store, key) == DATA


@pytest.mark.parametrize(("offset", "length"), [(0, 1), (5, 10), (255_990, 0), (100_000, 90_000), (255_999, 1)])
def test_a_range_is_read(store: S3ObjectStore, key: str, offset: int, length: int) -> None:
    assert read(store, key, offset=offset, length=length) == DATA[offset : offset + length if length else None]


def test_an_object_that_is_put_again_is_replaced(store: S3ObjectStore, key: str) -> None:
    store.put(key, io.BytesIO(b"new"), length=3, content_type="audio/wav")

    assert read(store, key) == b"new"


def test_an_object_exists_with_its_size_only(store: S3ObjectStore, key: str) -> None:
    assert store.exists(key, bytes=len(DATA))
    assert not store.exists(key, bytes=len(DATA) - 1)
    assert not store.exists("audio/none.wav", bytes=0)


def test_a_deleted_object_is_gone_and_may_be_deleted_again(store: S3ObjectStore, key: str) -> None:
    store.delete(key)
    store.delete(key)

    assert not store.exists(key, bytes=len(DATA))
    with pytest.raises(AudioMissing, match=key):
        read(store, key)


def test_a_link_needs_no_password_and_names_the_file(store: S3ObjectStore, key: str) -> None:
    link = store.link(key, seconds=60, file_name="story.wav", content_type="audio/wav")

    answer = httpx.get(link, trust_env=False)

    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["Content-Type"] == "audio/wav"
    # Asked for and signed; AWS and MinIO then send it, nanio does not.
    assert parse_qs(urlsplit(link).query)["response-content-disposition"] == ['attachment; filename="story.wav"']


def test_a_link_gives_ranges(store: S3ObjectStore, key: str) -> None:
    link = store.link(key, seconds=60, file_name="story.wav", content_type="audio/wav")

    answer = httpx.get(link, headers={"Range": "bytes=10-19"}, trust_env=False)

    assert (answer.status_code, answer.content) == (206, DATA[10:20])


def test_a_link_that_was_tampered_with_is_refused(store: S3ObjectStore, key: str) -> None:
    link = store.link(key, seconds=60, file_name="story.wav", content_type="audio/wav")

    assert httpx.get(link.replace("story", "other"), trust_env=False).status_code == 403


def test_the_bucket_may_be_made_again(store: S3ObjectStore) -> None:
    store.make_bucket()
    store.ping()


def test_a_bucket_that_is_missing_is_named(settings: SharedSettings) -> None:
    with pytest.raises(StorageUnavailable, match="no-such-bucket"):
        S3ObjectStore(settings.model_copy(update={"s3_bucket": "no-such-bucket"})).ping()


def test_a_store_that_is_away_is_unavailable(away: S3ObjectStore) -> None:
    with pytest.raises(StorageUnavailable):
        away.ping()
    with pytest.raises(StorageUnavailable):
        read(away, "audio/a.wav")
    with pytest.raises(StorageUnavailable):
        away.put("audio/a.wav", io.BytesIO(b"x"), length=1, content_type="audio/wav")


def test_wrong_credentials_are_unavailable(settings: SharedSettings) -> None:
    store = S3ObjectStore(settings.model_copy(update={"s3_secret_key": SecretStr("wrong" * 8)}))

    with pytest.raises(StorageUnavailable):
        read(store, "audio/a.wav")
