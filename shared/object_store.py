"""Audio in any S3, through the MinIO client."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import BinaryIO
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from shared import tracing
from shared.errors import AudioMissing, StorageUnavailable
from shared.settings import SharedSettings
from shared.shown import attachment

MISSING = frozenset({"NoSuchKey", "NoSuchObject", "NotFound"})
CHUNK_BYTES = 64 * 1024


class S3ObjectStore:
    """Objects of one bucket. Calls block; the client is safe to share between threads, not between processes."""

    def __init__(self, settings: SharedSettings) -> None:
        self._bucket = settings.s3_bucket
        self._client = _client(settings, settings.s3_endpoint)
        self._public = _client(settings, settings.s3_public_endpoint or settings.s3_endpoint)

    def put(self, key: str, data: BinaryIO, *, length: int, content_type: str) -> None:
        with self._call("PutObject", key):
            self._client.put_object(self._bucket, key, data, length, content_type=content_type)

    def read(self, key: str, *, offset: int = 0, length: int = 0) -> Iterator[bytes]:
        with self._call("GetObject", key):
            response = self._client.get_object(self._bucket, key, offset=offset, length=length)
            try:
                yield from response.stream(CHUNK_BYTES)
            finally:
                response.close()
                response.release_conn()

    def exists(self, key: str, *, bytes: int) -> bool:
        try:
            with self._call("HeadObject", key):
                return self._client.stat_object(self._bucket, key).size == bytes
        except AudioMissing:
            return False

    def delete(self, key: str) -> None:
        with self._call("DeleteObject", key):
            self._client.remove_object(self._bucket, key)

    def link(self, key: str, *, seconds: int, file_name: str, content_type: str) -> str:
        headers: dict[str, str | list[str] | tuple[str]] = {
            "response-content-disposition": attachment(file_name),
            "response-content-type": content_type,
        }
        return self._public.presigned_get_object(
            self._bucket, key, expires=timedelta(seconds=seconds), response_headers=headers
        )

    def upload_link(self, key: str, *, seconds: int) -> str:
        return self._public.presigned_put_object(self._bucket, key, expires=timedelta(seconds=seconds))

    def size(self, key: str) -> int:
        with self._call("HeadObject", key):
            return self._client.stat_object(self._bucket, key).size or 0

    def keys(self, prefix: str) -> Iterator[str]:
        with self._call("ListObjectsV2", prefix):
            for found in self._client.list_objects(self._bucket, prefix=prefix, recursive=True):
                if found.object_name:
                    yield found.object_name

    @contextmanager
    def _call(self, operation: str, key: str) -> Generator[None]:
        with tracing.calling_s3(operation, self._bucket, key), _translated(key):
            yield

    def ping(self) -> None:
        with _translated(self._bucket):
            if not self._client.bucket_exists(self._bucket):
                raise StorageUnavailable(f"there is no bucket {self._bucket!r}")

    def make_bucket(self) -> bool:
        """Create the bucket unless it is there; return whether it was missing."""
        with _translated(self._bucket):
            missing = not self._client.bucket_exists(self._bucket)
            if missing:
                self._client.make_bucket(self._bucket)
        return missing


def _client(settings: SharedSettings, endpoint: str) -> Minio:
    address = urlsplit(endpoint)
    return Minio(
        address.netloc,
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=settings.s3_secret_key.get_secret_value(),
        secure=address.scheme == "https",
        region=settings.s3_region,  # named, so that the client need not ask for it
        http_client=urllib3.PoolManager(
            maxsize=32,
            timeout=urllib3.Timeout(connect=3, read=30),
            retries=urllib3.Retry(total=3, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
        ),
    )


@contextmanager
def _translated(key: str) -> Generator[None]:
    try:
        yield
    except S3Error as error:
        if error.code in MISSING:
            raise AudioMissing(key) from error
        raise StorageUnavailable(f"{error.code}: {error.message}") from error
    except (MinioException, HTTPError, OSError) as error:
        raise StorageUnavailable(type(error).__name__) from error
