"""The words that the JSON schemas of this room are written with."""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]
TEXT: Final = r"^[!-~]([ -~]*[!-~])?$"


def nullable(schema: Schema) -> Schema:
    """The schema, or null, which says the same as leaving the field out."""
    kind = schema.get("type")
    if "enum" in schema and kind is None:
        return {**schema, "enum": [*schema["enum"], None]}
    if "enum" in schema:
        return {**schema, "type": [kind, "null"], "enum": [*schema["enum"], None]}
    return {**schema, "type": [kind, "null"]} if isinstance(kind, str) else {"anyOf": [schema, {"type": "null"}]}


def text(chars_max: int, pattern: str = TEXT, chars_min: int = 1, **more: Any) -> Schema:
    """A string within limits."""
    return {"type": "string", "minLength": chars_min, "maxLength": chars_max, "pattern": pattern, **more}


def optional_text(chars_max: int, **more: Any) -> Schema:
    """A filter: empty is as good as absent, and what no schedule can hold just finds none."""
    return {"type": "string", "maxLength": chars_max, **more}


def number(low: float, high: float, **more: Any) -> Schema:
    return {"type": "number", "minimum": low, "maximum": high, **more}


def whole(low: int, high: int, **more: Any) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high, **more}


def choice(*words: str, **more: Any) -> Schema:
    return {"type": "string", "enum": list(words), **more}


def listed(items: Schema, items_max: int, items_min: int = 0, **more: Any) -> Schema:
    return {"type": "array", "items": items, "minItems": items_min, "maxItems": items_max, **more}


def closed(required: list[str], **properties: Schema) -> Schema:
    """An object with these fields and no others; those not required may be null."""
    shown = {name: schema if name in required else nullable(schema) for name, schema in properties.items()}
    return {"type": "object", "properties": shown, "required": required, "additionalProperties": False}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
