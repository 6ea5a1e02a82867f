"""A book's metadata as an audio file's tags."""

from collections.abc import Mapping

# Players that know no narrators show the composer.
_NAMES = {
    "author": ("artist", "album_artist"),
    "narrator": ("composer",),
    "year": ("date",),
    "genre": ("genre",),
    "description": ("comment", "description"),
    "publisher": ("publisher",),
    "copyright": ("copyright",),
    "language": ("language",),
}
_AUDIOBOOK = "2"  # iTunes' kind of media


def book_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that a whole book and each of its chapters have; what is empty is left out."""
    known = {"genre": "Audiobook", **{key: text for key, text in metadata.items() if text}}
    tags = {name: known[key] for key, names in _NAMES.items() if key in known for name in names}
    return tags | {"album": known["title"]} if "title" in known else tags


def whole_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    return book_tags(metadata) | {"title": metadata.get("title", ""), "media_type": _AUDIOBOOK}


def chapter_tags(title: str, number: int, count: int, metadata: Mapping[str, str]) -> dict[str, str]:
    return book_tags(metadata) | {"title": title, "track": f"{number}/{count}"}
