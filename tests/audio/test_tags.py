"""Tags and cover are in the file, for a reader that isn't ours, and the sound is the same."""

import io

import numpy as np
import pytest
from tinytag import TinyTag

from audio.encoding import Encoder, decode, encode
from audio.tags import Cover, Tags, UnusableCover
from tests.pictures import picture
from tests.sounds import speech

RATE = 24_000
SOUND = speech(1)
TEXTS = {
    "title": "第一章 Ünder",
    "artist": "A. Uthor",
    "album": "Book",
    "track": "3/12",
    "date": "2026",
    "genre": "Audiobook",
}
JPEG, PNG = (Cover(picture(kind), kind) for kind in ("image/jpeg", "image/png"))


def tagged(format: str, tags: Tags) -> bytes:
    target = io.BytesIO()
    with Encoder(target, format=format, source_rate=RATE, sample_rate=RATE, tags=tags) as encoder:
        encoder.write(SOUND.samples)
    return target.getvalue()


def read(data: bytes) -> TinyTag:
    return TinyTag.get(file_obj=io.BytesIO(data), image=True)


@pytest.mark.parametrize("format", ["mp3", "opus", "flac", "wav"])
def test_another_reader_finds_the_tags(format: str) -> None:
    found = read(tagged(format, Tags(TEXTS)))

    assert (found.title, found.artist, found.album) == ("第一章 Ünder", "A. Uthor", "Book")
    assert (found.year, found.genre) == ("2026", "Audiobook")
    if format != "wav":
        assert (found.track, found.track_total) == (3, 12)


@pytest.mark.parametrize("cover", [JPEG, PNG], ids=["jpeg", "png"])
@pytest.mark.parametrize("format", ["mp3", "opus", "flac"])
def test_another_reader_finds_the_cover(format: str, cover: Cover) -> None:
    front = read(tagged(format, Tags(TEXTS, cover))).images.front_cover

    assert front
    assert front.data == cover.data
    assert front.mime_type == cover.content_type


@pytest.mark.parametrize("format", ["mp3", "opus", "flac", "wav"])
def test_the_sound_is_the_same_with_tags_and_without(format: str) -> None:
    plain = decode(encode(SOUND, format=format, sample_rate=RATE))

    np.testing.assert_array_equal(decode(tagged(format, Tags(TEXTS, JPEG))).samples, plain.samples)


@pytest.mark.parametrize("format", ["mp3", "opus", "flac", "wav"])
def test_the_same_tags_in_any_order_give_the_same_bytes(format: str) -> None:
    backwards = dict(reversed(TEXTS.items()))

    assert tagged(format, Tags(TEXTS, JPEG)) == tagged(format, Tags(backwards, JPEG))


@pytest.mark.parametrize(
    "cover",
    [Cover(b"", "image/jpeg"), Cover(b"no picture at all", "image/png"), Cover(PNG.data, "image/jpeg"),
     Cover(JPEG.data[:40], "image/jpeg"), Cover(JPEG.data, "image/webp")],
    ids=["empty", "text", "the other type", "cut off", "another type"],
)  # fmt: skip
def test_a_cover_that_is_no_picture_is_refused(cover: Cover) -> None:
    with pytest.raises(UnusableCover, match="image/jpeg, image/png"):
        cover.size()
    with pytest.raises(UnusableCover):
        tagged("mp3", Tags(TEXTS, cover))


@pytest.mark.parametrize("format", ["mp3", "opus", "flac", "wav"])
def test_a_text_is_not_cut_at_what_can_not_be_stored(format: str) -> None:
    found = read(tagged(format, Tags({"title": "One\0 and\ud800 all", "artist": "\0"})))

    assert (found.title, found.artist) == ("One and all", None)


def test_a_cover_tells_its_size() -> None:
    assert JPEG.size() == PNG.size() == (64, 48)
