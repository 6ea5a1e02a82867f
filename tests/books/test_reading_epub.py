"""EPUB 2 and 3: chapters by the table of contents, what is left out, and what is known of the book."""

import struct
import zlib
from pathlib import Path

import pytest

from books.errors import BrokenBook, EncryptedBook
from books.manuscript import Manuscript
from books.reading import ReadingOptions, read
from tests.books.making import make_archive, make_epub, page

CONTAINER = '<container><rootfiles><rootfile full-path="book/content.opf"/></rootfiles></container>'
PNG = b"\x89PNG\r\n\x1a\n" + b"".join(
    struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    for kind, data in ((b"IHDR", b"\0\0\0\1\0\0\0\1\x08\0\0\0\0"), (b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b""))
)
DRM = """<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<EncryptedData xmlns="http://www.w3.org/2001/04/xmlenc#"><EncryptionMethod Algorithm="{method}"/></EncryptedData>
</encryption>"""


def book(path: Path, documents: dict[str, str], *, nav: str = "", **more: str) -> Path:
    """Write an EPUB 3 of documents, which are markup, with a list of points for its table of contents."""
    items = "".join(f'<item id="{n}" href="{n}" media-type="application/xhtml+xml"/>' for n in documents)
    spine = "".join(f'<itemref idref="{name}" {more.get(name, "")}/>' for name in documents)
    files: dict[str, str | bytes] = {f"book/{name}": page(name, body) for name, body in documents.items()}
    if nav:
        items += '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        files["book/nav.xhtml"] = page("Contents", f'<nav epub:type="toc"><ol>{nav}</ol></nav>')
    opf = f"<package><metadata/><manifest>{items}</manifest><spine>{spine}</spine>{more.get('guide', '')}</package>"
    make_archive(path, {"META-INF/container.xml": CONTAINER, "book/content.opf": opf, **files})
    return path


def one(path: Path, body: str, options: ReadingOptions | None = None) -> Manuscript:
    return read(book(path / "one.epub", {"a.xhtml": body}), options)


@pytest.mark.parametrize("version", [2, 3])
def test_both_versions_give_titles_text_cover_and_metadata(tmp_path: Path, version: int) -> None:
    chapters = [("Chapter One", ["It was night.", "Rain fell."]), ("第二章 春天", ["花开了。"])]
    make_epub(
        tmp_path / "a.epub", title="A & B", author="Ann", language="en", chapters=chapters, cover=PNG, version=version
    )

    manuscript = read(tmp_path / "a.epub")

    assert [chapter.title for chapter in manuscript.chapters] == ["Chapter One", "第二章 春天"]
    assert manuscript.chapters[0].text == "# Chapter One\n\nIt was night.\n\nRain fell."
    assert manuscript.metadata["title"] == "A & B"
    assert manuscript.metadata["author"] == "Ann"
    assert manuscript.metadata["language"] == "en"
    assert (manuscript.cover, manuscript.cover_type) == (PNG, "image/png")
    assert manuscript.notes == ()


def test_a_cover_of_another_kind_is_left_out_with_a_note(tmp_path: Path) -> None:
    make_epub(tmp_path / "a.epub", title="T", author="A", language="en", chapters=[("C", ["x"])], cover=b"GIF89a")

    manuscript = read(tmp_path / "a.epub")

    assert manuscript.cover == b""
    assert manuscript.notes == ("the cover was left out: it is neither JPEG nor PNG",)


def test_several_points_in_one_document_are_chapters_of_their_own(tmp_path: Path) -> None:
    body = '<p id="x">Before.</p><h2 id="two">Two</h2><p>Second.</p><p><a id="three"/>Three</p><p>Third.</p>'
    nav = (
        '<li><a href="a.xhtml">One</a></li><li><a href="a.xhtml#two">Two</a></li><li><a href="a.xhtml#three">3</a></li>'
    )

    chapters = read(book(tmp_path / "a.epub", {"a.xhtml": body}, nav=nav)).chapters

    assert [chapter.title for chapter in chapters] == ["One", "Two", "3"]
    assert chapters[1].text == "## Two\n\nSecond."
    assert chapters[2].text == "Three\n\nThird."


def test_a_document_without_a_point_goes_on_with_the_chapter_before_it(tmp_path: Path) -> None:
    documents = {"a.xhtml": "<p>Begins.</p>", "b.xhtml": "<p>Goes on.</p>", "c.xhtml": "<p>New.</p>"}
    nav = '<li><a href="a.xhtml">One</a></li><li><a href="c.xhtml">Two</a></li>'

    chapters = read(book(tmp_path / "a.epub", documents, nav=nav)).chapters

    assert [chapter.title for chapter in chapters] == ["One", "Two"]
    assert chapters[0].text.endswith("Begins.\n\n# b.xhtml\n\nGoes on.")


def test_nested_points_are_chapters_down_to_the_second_level(tmp_path: Path) -> None:
    documents = {"a.xhtml": "<p>Part.</p>", "b.xhtml": '<p>Chapter.</p><p id="s">Section.</p>'}
    nav = (
        '<li><a href="a.xhtml">Part</a><ol><li><a href="b.xhtml">Chapter</a>'
        '<ol><li><a href="b.xhtml#s">Section</a></li></ol></li></ol></li>'
    )

    assert [each.title for each in read(book(tmp_path / "a.epub", documents, nav=nav)).chapters] == ["Part", "Chapter"]


def test_without_a_table_of_contents_each_document_is_a_chapter(tmp_path: Path) -> None:
    chapters = read(book(tmp_path / "a.epub", {"a.xhtml": "<p>x</p>", "b.xhtml": "<p>y</p>"})).chapters

    assert [chapter.title for chapter in chapters] == ["a.xhtml", "b.xhtml"]


def test_what_is_beside_the_reading_order_and_the_cover_page_are_not_read(tmp_path: Path) -> None:
    documents = {"cover.xhtml": "<p>Cover</p>", "a.xhtml": "<p>x</p>", "answers.xhtml": "<p>42</p>"}
    guide = '<guide><reference type="cover" href="cover.xhtml"/></guide>'
    path = book(tmp_path / "a.epub", documents, guide=guide, **{"answers.xhtml": 'linear="no"'})

    manuscript = read(path)

    assert [chapter.title for chapter in manuscript.chapters] == ["a.xhtml"]
    assert manuscript.notes[0] == "left out: documents beside the reading order (1)"


def test_a_table_of_contents_that_points_to_itself_and_in_circles_ends(tmp_path: Path) -> None:
    circle = '<li><a href="nav.xhtml">self</a><ol><li><a href="nav.xhtml#x">again</a></li></ol></li>'
    nav = circle + '<li><a href="a.xhtml">One</a></li>' * 500

    assert [each.title for each in read(book(tmp_path / "a.epub", {"a.xhtml": "<p>x</p>"}, nav=nav)).chapters] == [
        "One"
    ]


NOTED = (
    '<p>Word<a epub:type="noteref" href="#n1">1</a> and more.</p>'
    '<aside epub:type="footnote" id="n1"><p><a href="#r">1</a>. What is noted.</p></aside>'
)


def test_footnotes_are_left_out_with_a_note_unless_they_are_wanted(tmp_path: Path) -> None:
    manuscript = one(tmp_path, NOTED)

    assert manuscript.chapters[0].text == "# a.xhtml\n\nWord and more."
    assert "left out: footnotes (1)" in manuscript.notes


def test_a_footnote_is_read_where_it_is_referred_to(tmp_path: Path) -> None:
    manuscript = one(tmp_path, NOTED, ReadingOptions(footnotes=True))

    assert manuscript.chapters[0].text == "# a.xhtml\n\nWord (What is noted.) and more."


def test_a_note_in_another_document_is_found(tmp_path: Path) -> None:
    documents = {
        "a.xhtml": '<p>词<a role="doc-noteref" href="notes.xhtml#n1">[1]</a>。</p>',
        "notes.xhtml": '<section role="doc-endnotes"><ol><li id="n1">[1] 解释。</li></ol></section>',
    }

    text = read(book(tmp_path / "a.epub", documents), ReadingOptions(footnotes=True)).chapters[0].text

    assert text.endswith("词（解释。）。")


def test_a_raised_number_that_links_somewhere_is_no_part_of_the_text(tmp_path: Path) -> None:
    text = (
        one(tmp_path, '<p>Year<sup><a href="#n">12</a></sup> and x<sup>2</sup>.</p><p id="n">Note</p>').chapters[0].text
    )

    assert "Year and x2." in text


def test_tables_are_read_row_by_row_or_left_out(tmp_path: Path) -> None:
    table = "<table><tr><th>Name</th><th>Age</th></tr><tr><td>Ann</td><td>7</td></tr></table>"

    assert one(tmp_path, table).chapters[0].text.endswith("Name, Age\n\nAnn, 7")
    assert "left out: tables (1)" in one(tmp_path, table, ReadingOptions(tables=False)).notes


def test_images_are_described_if_wanted_and_counted_if_not(tmp_path: Path) -> None:
    images = '<p>See <img src="a.png" alt="a red fox"/>.</p><p><img src="b.png"/></p>'

    assert "See a red fox ." in one(tmp_path, images, ReadingOptions(image_descriptions=True)).chapters[0].text
    notes = one(tmp_path, images).notes
    assert "left out: images with a description (1)" in notes
    assert "left out: images without a description (1)" in notes


def test_ruby_keeps_its_base_and_formulas_their_alternative_text(tmp_path: Path) -> None:
    body = (
        '<p><ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>字</p><p>So <math alttext="x squared"><mi>x</mi></math>.</p>'
    )

    text = one(tmp_path, body).chapters[0].text

    assert "漢字\n\nSo x squared ." in text


def test_emphasis_entities_and_scene_breaks(tmp_path: Path) -> None:
    text = (
        one(tmp_path, "<p>A <em>very</em>&nbsp;big\n <b>dog</b>&hellip;</p><hr/><p># not a heading</p>")
        .chapters[0]
        .text
    )

    assert text == "# a.xhtml\n\nA very big dog…\n\n***\n\n\\# not a heading"


def test_marks_pass_through(tmp_path: Path) -> None:
    assert (
        one(tmp_path, "<p>[pause: 1.5]Then [voice: Ann] she spoke.</p>")
        .chapters[0]
        .text.endswith("[pause: 1.5]Then [voice: Ann] she spoke.")
    )


def test_a_document_that_is_not_well_formed_is_read_as_html(tmp_path: Path) -> None:
    assert one(tmp_path, "<p>First<br>line<p>Second & third").chapters[0].text.endswith("First line\n\nSecond & third")


def test_drm_is_a_clear_error_and_obfuscated_fonts_are_not(tmp_path: Path) -> None:
    make_epub(tmp_path / "a.epub", title="T", author="A", language="en", chapters=[("C", ["x"])])
    for method, name in (
        ("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "drm"),
        ("http://ns.adobe.com/pdf/enc#RC", "font"),
    ):
        opf = '<package><manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine>'
        files: dict[str, str | bytes] = {
            "META-INF/container.xml": CONTAINER,
            "META-INF/encryption.xml": DRM.format(method=method),
            "book/content.opf": opf + '<itemref idref="a"/></spine></package>',
            "book/a.xhtml": page("A", "<p>x</p>"),
        }
        make_archive(tmp_path / f"{name}.epub", files)

    assert read(tmp_path / "font.epub").chapters[0].title == "A"
    with pytest.raises(EncryptedBook, match="DRM"):
        read(tmp_path / "drm.epub")


def test_an_epub_without_a_reading_order_is_broken(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"META-INF/container.xml": CONTAINER, "book/content.opf": "<package/>"}
    make_archive(tmp_path / "a.epub", files)

    with pytest.raises(BrokenBook, match="reading order"):
        read(tmp_path / "a.epub")
