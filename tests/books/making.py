"""Book files for the tests, written by hand: none of our reading code takes part."""

import zipfile
from html import escape
from pathlib import Path

Chapters = list[tuple[str, list[str]]]

_CONTAINER = """<?xml version="1.0"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>"""


def make_epub(
    path: Path,
    *,
    title: str,
    author: str,
    language: str,
    chapters: Chapters,
    cover: bytes | None = None,
    version: int = 3,
) -> None:
    """Write an EPUB 2 or 3 with a file for each chapter: a title and its paragraphs, plain text."""
    names = [f"chapter{number:04}.xhtml" for number in range(1, len(chapters) + 1)]
    titles = [chapter_title for chapter_title, _ in chapters]
    files: dict[str, str | bytes] = {
        name: page(chapter_title, "".join(f"<p>{escape(text)}</p>\n" for text in paragraphs), language)
        for name, (chapter_title, paragraphs) in zip(names, chapters, strict=True)
    }
    navigation = {"nav.xhtml": _nav(titles, names)} if version == 3 else {"toc.ncx": _ncx(titles, names)}
    pictures = {} if cover is None else {"cover.img": cover}
    files |= navigation | pictures
    files["content.opf"] = _opf(title, author, language, names, cover, version)
    make_archive(path, {"META-INF/container.xml": _CONTAINER} | {f"OEBPS/{name}": data for name, data in files.items()})


def make_archive(path: Path, files: dict[str, str | bytes]) -> None:
    """Write an EPUB with exactly these files besides its mimetype."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        for name, data in files.items():
            archive.writestr(name, data)


def page(title: str, body: str, language: str = "en") -> str:
    """Return an XHTML page whose body is a heading and `body`, which is markup."""
    return f"""<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" xml:lang="{language}">
<head><title>{escape(title)}</title></head>
<body><h1>{escape(title)}</h1>
{body}</body></html>"""


def _nav(titles: list[str], names: list[str]) -> str:
    points = "".join(
        f'<li><a href="{name}">{escape(title)}</a></li>' for title, name in zip(titles, names, strict=True)
    )
    return page("Contents", f'<nav epub:type="toc"><ol>{points}</ol></nav>')


def _ncx(titles: list[str], names: list[str]) -> str:
    points = "".join(
        f'<navPoint id="p{n}" playOrder="{n}"><navLabel><text>{escape(title)}</text></navLabel><content src="{name}"/>'
        "</navPoint>"
        for n, (title, name) in enumerate(zip(titles, names, strict=True), 1)
    )
    return f'<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/" version="2005-1"><navMap>{points}</navMap></ncx>'


def _opf(title: str, author: str, language: str, names: list[str], cover: bytes | None, version: int) -> str:
    documents = "".join(
        f'<item id="c{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(names)
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(names)))
    if version == 3:
        navigation = _item("nav", "nav.xhtml", "application/xhtml+xml", ' properties="nav"')
        spine = '<itemref idref="nav"/>' + spine
    else:
        navigation = _item("ncx", "toc.ncx", "application/x-dtbncx+xml")
    picture = mark = ""
    if cover is not None:
        kind = "image/png" if cover.startswith(b"\x89PNG") else "image/jpeg"
        properties = ' properties="cover-image"' if version == 3 else ""
        picture = _item("cover", "cover.img", kind, properties)
        mark = '<meta name="cover" content="cover"/>'
    return f"""<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="{version}.0" unique-identifier="id">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">urn:example:book</dc:identifier><dc:title>{escape(title)}</dc:title>
<dc:creator>{escape(author)}</dc:creator><dc:language>{language}</dc:language>{mark}
</metadata>
<manifest>{navigation}{documents}{picture}</manifest>
<spine{"" if version == 3 else ' toc="ncx"'}>{spine}</spine>
</package>"""


def _item(id_: str, name: str, media_type: str, properties: str = "") -> str:
    return f'<item id="{id_}" href="{name}" media-type="{media_type}"{properties}/>'


Line = tuple[float, float, float, str]
"""Where a line of a PDF starts (points from the left and from the bottom), its size, and its text."""


def make_pdf(path: Path, pages: list[list[Line]], *, outline: list[tuple[str, int]] | None = None) -> None:
    """Write a PDF of lines of text, with bookmarks of a title and a page from 0."""
    objects: dict[int, bytes] = {3: _PDF_FONT, 4: _PDF_LETTERS, 5: _pdf_stream(_PDF_UNICODE.encode())}
    first_page = 10
    kids = " ".join(f"{first_page + 2 * number} 0 R" for number in range(len(pages)))
    objects[2] = f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode()
    for number, lines in enumerate(pages):
        content = "\n".join(f"BT /F {size} Tf {x} {y} Td <{_hex(text)}> Tj ET" for x, y, size, text in lines)
        page_object = first_page + 2 * number
        objects[page_object] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 420 595] /Contents {page_object + 1} 0 R "
            "/Resources << /Font << /F 3 0 R >> >> >>"
        ).encode()
        objects[page_object + 1] = _pdf_stream(content.encode())
    marks = ""
    if outline:
        root = first_page + 2 * len(pages)
        marks = f" /Outlines {root} 0 R"
        last = root + len(outline)
        objects[root] = f"<< /First {root + 1} 0 R /Last {last} 0 R /Count {len(outline)} >>".encode()
        for number, (title, page_number) in enumerate(outline, root + 1):
            follows = f" /Next {number + 1} 0 R" if number < last else ""
            place = f"[{first_page + 2 * page_number} 0 R /Fit]"
            objects[number] = f"<< /Title <FEFF{_hex(title)}> /Parent {root} 0 R{follows} /Dest {place} >>".encode()
    objects[1] = f"<< /Type /Catalog /Pages 2 0 R{marks} >>".encode()
    path.write_bytes(pdf_of(objects))


def pdf_of(objects: dict[int, bytes]) -> bytes:
    """Return a PDF of numbered objects; the first is its catalog."""
    data = b"%PDF-1.7\n"
    places: dict[int, int] = {}
    for number in sorted(objects):
        places[number] = len(data)
        data += b"%d 0 obj\n%b\nendobj\n" % (number, objects[number])
    size = max(objects) + 1
    table = "".join(f"{places[n]:010} 00000 n \n" if n in places else "0000000000 65535 f \n" for n in range(size))
    end = f"xref\n0 {size}\n{table}trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{len(data)}\n%%EOF"
    return data + end.encode()


_PDF_FONT = (
    b"<< /Type /Font /Subtype /Type0 /BaseFont /Plain /Encoding /Identity-H "
    b"/DescendantFonts [4 0 R] /ToUnicode 5 0 R >>"
)
_PDF_LETTERS = (
    b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Plain /DW 1000 /W [32 [250] 33 126 500] "
    b"/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> "
    b"/FontDescriptor << /Type /FontDescriptor /FontName /Plain /Flags 4 /FontBBox [0 -200 1000 800] /ItalicAngle 0 "
    b"/Ascent 800 /Descent -200 /CapHeight 700 /StemV 80 >> >>"
)
_PDF_UNICODE = """/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /U def /CMapType 2 def
1 begincodespacerange <0000> <FFFF> endcodespacerange
1 beginbfrange <0000> <FFFF> <0000> endbfrange
endcmap CMapName currentdict /CMap defineresource pop end end"""


def _pdf_stream(data: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%b\nendstream" % (len(data), data)


def _hex(text: str) -> str:
    return text.encode("utf-16-be").hex()
