"""Plain text, Markdown and HTML: encodings, chapters, and lines that were broken to a width."""

from pathlib import Path

import pytest

from books.errors import BrokenBook, EncryptedBook, UnknownKind
from books.manuscript import Manuscript
from books.reading import ReadingOptions, read
from books.reading.encoding import decode

CHINESE = "第一章 春天\n　　今天天气很好。我们出去走走吧！\n　　“好的。”她说。\n第二章 夏天\n　　太热了。\n"
TRADITIONAL = "第一章 春天\n　　今天天氣很好。我們出去走走吧！\n　　「好的。」她說。\n第二章 夏天\n　　太熱了。\n"
ALICE = """CHAPTER I.
Down the Rabbit-Hole

Alice was beginning to get very tired of sitting by her sister on the
bank, and of having nothing to do: once or twice she had peeped into a
well-
known book. Chapter 3 of it describes no
pictures.

* * *

So she was considering in her own mind.

CHAPTER II.
The Pool of Tears

Curiouser and curiouser!
"""


def written(path: Path, content: str | bytes, name: str = "a.txt") -> Path:
    (path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return path / name


def of(path: Path, content: str | bytes, name: str = "a.txt", options: ReadingOptions | None = None) -> Manuscript:
    return read(written(path, content, name), options)


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        (CHINESE, "utf-8", ""),
        (CHINESE, "utf-8-sig", ""),
        (CHINESE, "utf-16", ""),
        (CHINESE, "utf-16-le", "UTF-16-LE"),
        (CHINESE, "utf-16-be", "UTF-16-BE"),
        (CHINESE, "gb18030", "GB18030"),
        (TRADITIONAL, "gb18030", "GB18030"),
        (TRADITIONAL, "big5", "Big5"),
        ("你好", "gb18030", "GB18030"),
        ("红楼梦", "gb18030", "GB18030"),
        ("银行行长", "gb18030", "GB18030"),
        ("你好", "big5", "Big5"),
        ("紅樓夢", "big5", "Big5"),
        ("臺灣", "big5", "Big5"),
        ("hello 世界", "gb18030", "GB18030"),
        ("It was a café in Zürich.", "cp1252", "Windows-1252"),
        ("“Well,” he said, “it’s fine.”", "cp1252", "Windows-1252"),
        ("Plain English.", "utf-16-le", "UTF-16-LE"),
    ],
)
def test_encodings_are_found(text: str, encoding: str, found: str) -> None:
    assert decode(text.encode(encoding)) == (text, found)


def test_an_encoding_that_was_guessed_is_told(tmp_path: Path) -> None:
    assert "encoding: GB18030 (detected)" in of(tmp_path, CHINESE.encode("gb18030")).notes


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenBook, match="not text"):
        of(tmp_path, bytes(1000))


def test_chinese_chapters_and_language_are_found(tmp_path: Path) -> None:
    manuscript = of(tmp_path, CHINESE.encode("gb18030"))

    assert [chapter.title for chapter in manuscript.chapters] == ["第一章 春天", "第二章 夏天"]
    assert manuscript.chapters[0].text == "## 第一章 春天\n\n今天天气很好。我们出去走走吧！\n\n“好的。”她说。"
    assert manuscript.metadata["language"] == "zh"


def test_english_chapters_are_found_and_broken_lines_joined(tmp_path: Path) -> None:
    manuscript = of(tmp_path, ALICE)

    assert [chapter.title for chapter in manuscript.chapters] == [
        "CHAPTER I. Down the Rabbit-Hole",
        "CHAPTER II. The Pool of Tears",
    ]
    assert manuscript.chapters[0].text.split("\n\n")[1:] == [
        "Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do: once "
        "or twice she had peeped into a well-known book. Chapter 3 of it describes no pictures.",
        "***",
        "So she was considering in her own mind.",
    ]


@pytest.mark.parametrize(
    "heading", ["CHAPTER ONE", "Chapter 12: The End", "Prologue", "第三章 归来", "第十回", "楔子", "卷一"]
)
def test_lines_that_are_headings(tmp_path: Path, heading: str) -> None:
    assert [each.title for each in of(tmp_path, f"Front.\n\n{heading}\n\nText.\n").chapters] == ["Front.", heading]


@pytest.mark.parametrize(
    "line",
    ["Chapter 3 describes how it went.", "Part of it", "第三章的内容还没有写，我们等等看。", "Section 5.8 is new"],
)
def test_lines_that_are_text(tmp_path: Path, line: str) -> None:
    assert len(of(tmp_path, f"Front.\n\n{line}\n\nText.\n").chapters) == 1


def test_a_part_that_is_a_heading_only_joins_its_first_chapter(tmp_path: Path) -> None:
    chapters = of(tmp_path, "第一卷 起\n第一章 春\n花开了。\n第二章 夏\n热了。\n").chapters

    assert [chapter.title for chapter in chapters] == ["第一章 春", "第二章 夏"]
    assert chapters[0].text == "# 第一卷 起\n\n## 第一章 春\n\n花开了。"


def test_a_table_of_contents_in_plain_text_is_left_out_with_a_note(tmp_path: Path) -> None:
    manuscript = of(tmp_path, "Contents\n\nChapter 1\nChapter 2\n\nChapter 1\n\nOne.\n\nChapter 2\n\nTwo.\n")

    assert [chapter.text for chapter in manuscript.chapters] == ["## Chapter 1\n\nOne.", "## Chapter 2\n\nTwo."]
    assert "left out: lines of the table of contents (3)" in manuscript.notes


def test_the_licence_of_project_gutenberg_is_kept_and_told(tmp_path: Path) -> None:
    text = (
        "Title: Alice\nAuthor: L. C.\nLanguage: English\n\n*** START OF THE PROJECT GUTENBERG EBOOK ALICE ***\n\n"
        f"{ALICE}\n*** END OF THE PROJECT GUTENBERG EBOOK ALICE ***\n\nThe licence.\n"
    )

    manuscript = of(tmp_path, text)

    assert manuscript.chapters[-1].text.endswith("The licence.")
    assert manuscript.metadata == {"title": "Alice", "author": "L. C.", "language": "en"}
    assert any("Project Gutenberg" in note for note in manuscript.notes)


MARKDOWN = """---
title: "My book"
author: Ann
---
# One

Say [行](/xing2/) and \\[voice: x\\], [voice: y] *loudly*.[^1]

***

- a
- b

# Two

[pause: 1.5]

\\# no heading

```
code
```

[^1]: The note.
"""


def test_markdown_keeps_marks_phonemes_and_escapes(tmp_path: Path) -> None:
    manuscript = of(tmp_path, MARKDOWN, "a.md")

    assert manuscript.chapters[0].text == (
        "# One\n\nSay [行](/xing2/) and \\[voice: x], [voice: y] loudly.\n\n***\n\na\n\nb"
    )
    assert manuscript.chapters[1].text == "# Two\n\n[pause: 1.5]\n\n\\# no heading"
    assert manuscript.metadata["title"] == "My book"
    assert {"left out: footnotes (1)", "left out: blocks of code (1)"} <= set(manuscript.notes)


def test_markdown_footnotes_are_read_if_wanted(tmp_path: Path) -> None:
    text = of(tmp_path, MARKDOWN, "a.md", ReadingOptions(footnotes=True)).chapters[0].text

    assert "loudly. (The note.)" in text


def test_the_kind_is_found_without_a_name(tmp_path: Path) -> None:
    assert of(tmp_path, MARKDOWN, "upload").chapters[0].title == "One"
    assert of(tmp_path, "<!DOCTYPE html><title>T</title><p>x", "a.txt").chapters[0].text == "x"
    assert of(tmp_path, "Just text.", "upload").chapters[0].text == "Just text."


HTML = """<html lang="zh-Hans"><head><meta charset="gb2312"><title>书</title><meta name="author" content="某"></head>
<body><nav><a href="/">首页</a></nav><h1>书</h1>
<h2>第一节</h2>春天来了，<br>花开了。<br>　　第二段。
<h2>第二节</h2><p>完。</p></body></html>"""


def test_html_in_a_declared_encoding_is_cut_at_its_headings(tmp_path: Path) -> None:
    manuscript = of(tmp_path, HTML.encode("gb18030"), "a.html")

    assert [chapter.title for chapter in manuscript.chapters] == ["第一节", "第二节"]
    assert manuscript.chapters[0].text == "# 书\n\n## 第一节\n\n春天来了，花开了。\n\n第二段。"
    assert manuscript.metadata == {"title": "书", "author": "某", "language": "zh-Hans"}


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"", BrokenBook, "empty"),
        (b"{\\rtf1 x}", UnknownKind, "RTF"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), EncryptedBook, "DOCX"),
        (b"\x89PNG\r\n", UnknownKind, "PNG"),
        (bytes(60) + b"BOOKMOBI", UnknownKind, "Kindle"),
        (b"<?xml version='1.0'?><FictionBook/>", UnknownKind, "XML"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        of(tmp_path, content, "a.txt")


def test_brackets_that_are_no_marks_are_made_plain_text(tmp_path: Path) -> None:
    text = of(tmp_path, "He said [note: lost], [sic], [pause: 2] and \\[colour: red].").chapters[0].text

    assert text == "He said \\[note: lost], [sic], [pause: 2] and \\[colour: red]."
