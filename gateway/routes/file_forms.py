"""How the API's description shows a form with a file, which a route reads by gateway/receiving.py: form."""

from typing import Any

Schema = dict[str, Any]


def file_form(options: Schema, *, file: str) -> Schema:
    """Return what a form's content is: the part `file`, described so, and the part `options`, which is JSON."""
    return {
        "schema": {
            "type": "object",
            "required": ["file"],
            "additionalProperties": False,
            "properties": {
                "file": {"type": "string", "format": "binary", "description": file},
                "options": options | {"description": "A JSON object."},
            },
        },
        "encoding": {"options": {"contentType": "application/json"}},
    }
