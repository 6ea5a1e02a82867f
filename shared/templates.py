"""Texts with names in braces, such as `Dear {name}, happy new year!`; two braces are one that is meant."""

from collections.abc import Mapping
from string import Formatter

from shared.errors import InvalidTemplate, MissingVariable, TextTooLong, UnknownVariable

Variables = Mapping[str, str | int | float]


def pieces_of(template: str) -> list[tuple[str, str]]:
    """Return the template as texts, each with the name that follows it; the last may have none.

    Raises:
        InvalidTemplate: a brace has no partner, or holds what is no name.
    """
    pieces: list[tuple[str, str]] = []
    try:
        for literal, name, form, conversion in Formatter().parse(template):
            if name is not None and (form or conversion or not name.isidentifier()):
                raise InvalidTemplate(f"{{{name}}} is no name of a variable: letters, digits and _ only")
            pieces.append((literal, name or ""))
    except ValueError as error:
        raise InvalidTemplate(f"{error}; a brace that is to be spoken is written twice") from error
    return pieces


def filled(template: str, variables: Variables, *, longest: int) -> str:
    """Return the text that the template is with these variables.

    Raises:
        TextTooLong: it would have more characters than `longest`; a name may stand in it ten thousand times.
        MissingVariable, UnknownVariable: they are not those that the template has.
    """
    pieces = pieces_of(template)
    names = {name for _, name in pieces if name}
    if missing := sorted(names - variables.keys()):
        raise MissingVariable(missing)
    if unknown := sorted(variables.keys() - names):
        raise UnknownVariable(unknown, sorted(names))
    values = {name: str(value) for name, value in variables.items()} | {"": ""}
    length = sum(len(literal) + len(values[name]) for literal, name in pieces)
    if length > longest:
        raise TextTooLong(length, limit=longest)
    return "".join(literal + values[name] for literal, name in pieces)
