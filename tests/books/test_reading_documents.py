"""DOCX and PDF."""

import zipfile
from pathlib import Path

import pytest

from books.errors import NoText
from books.reading import ReadingOptions, read
from tests.books.making import Line, make_pdf

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
STYLES = f"""<w:styles {W}><w:style w:styleId="1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>
<w:style w:styleId="TOC1"><w:name w:val="toc 1"/></w:style></w:styles>"""
CORE = '<c xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>My book</dc:title><dc:creator>Ann</dc:creator></c>'
NOTES = f'<w:footnotes {W}><w:footnote w:id="2"><w:p><w:r><w:t>A note.</w:t></w:r></w:p></w:footnote></w:footnotes>'


def paragraph(text: str, style: str = "", more: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r>{more}</w:p>"


def docx(path: Path, body: str) -> Path:
    with zipfile.ZipFile(path / "a.docx", "w") as archive:
        archive.writestr("word/document.xml", f"<w:document {W}><w:body>{body}</w:body></w:document>")
        archive.writestr("word/styles.xml", STYLES)
        archive.writestr("word/footnotes.xml", NOTES)
        archive.writestr("docProps/core.xml", CORE)
    return path / "a.docx"


def test_docx_chapters_come_from_styles_in_any_language(tmp_path: Path) -> None:
    body = (
        paragraph("Contents 1", "TOC1")
        + paragraph("One", "1")
        + paragraph(
            "First.",
            more="<w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:ins><w:r><w:t> New.</w:t></w:r></w:ins>",
        )
        + paragraph("Section", "berschrift2")
        + paragraph("* * *")
        + paragraph("Two", "1")
        + paragraph("第二。")
    )

    manuscript = read(docx(tmp_path, body))

    assert [chapter.title for chapter in manuscript.chapters] == ["One", "Two"]
    assert manuscript.chapters[0].text == "# One\n\nFirst. New.\n\n## Section"
    assert manuscript.metadata["author"] == "Ann"
    assert manuscript.notes[0] == "left out: lines of the table of contents (1)"


def test_docx_footnotes_and_tables(tmp_path: Path) -> None:
    reference = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    cells = "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in ("甲", "乙"))
    path = docx(tmp_path, paragraph("Word", more=reference) + f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>")

    assert read(path, ReadingOptions(footnotes=True)).chapters[0].text == "Word (A note.)\n\n甲，乙"
    plain = read(path, ReadingOptions(tables=False))
    assert plain.chapters[0].text == "Word"
    assert {"left out: footnotes (1)", "left out: tables (1)"} <= set(plain.notes)


def printed(number: int, lines: list[tuple[int, str]]) -> list[Line]:
    """Return a page with a running head, lines at 50 or indented, and its number."""
    body: list[Line] = [
        (x, 520 - 14 * row, 18 if text.startswith("Chapter") else 11, text) for row, (x, text) in enumerate(lines)
    ]
    return [(150, 560, 9, "The Big Book"), *body, (200, 30, 9, str(number))]


PAGES = [
    printed(
        1,
        [
            (50, "Chapter 1"),
            (70, "It was a dark and stormy night and the rain fell in tor-"),
            (50, "rents except at occasional intervals for a well-known"),
            (50, "reason."),
            (70, "A new paragraph that goes on to the very end of the page"),
        ],
    ),
    printed(
        2, [(50, "two. It was a dark and stormy night, and all well-"), (50, "known things happen."), (70, "花开了。")]
    ),
    printed(3, [(50, "Chapter 2"), (70, "The second chapter with lots of words in its line, you see.")]),
]


@pytest.mark.parametrize("outline", [None, [("Chapter 1", 0), ("Chapter 2", 2)]])
def test_pdf_lines_become_paragraphs_and_chapters(tmp_path: Path, outline: list[tuple[str, int]] | None) -> None:
    make_pdf(tmp_path / "a.pdf", PAGES, outline=outline)

    manuscript = read(tmp_path / "a.pdf")

    assert [chapter.title for chapter in manuscript.chapters] == ["Chapter 1", "Chapter 2"]
    assert manuscript.chapters[0].text.split("\n\n") == [
        "## Chapter 1",
        "It was a dark and stormy night and the rain fell in torrents except at occasional intervals for a well-known "
        "reason.",
        "A new paragraph that goes on to the very end of the page two. It was a dark and stormy night, and all "
        "well-known things happen.",
        "花开了。",
    ]
    assert "left out: page numbers and running heads (6)" in manuscript.notes


def test_titles_of_bookmarks_name_the_chapters(tmp_path: Path) -> None:
    make_pdf(tmp_path / "a.pdf", PAGES, outline=[("开始", 0), ("The end", 2)])

    assert [chapter.title for chapter in read(tmp_path / "a.pdf").chapters] == ["开始", "The end"]


def test_a_pdf_of_pictures_is_sent_to_ocr(tmp_path: Path) -> None:
    make_pdf(tmp_path / "a.pdf", [[], []])

    with pytest.raises(NoText, match=r"2 pages.*OCR"):
        read(tmp_path / "a.pdf")
