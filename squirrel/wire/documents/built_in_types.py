"""http and kafka as `GET /api/v1/target-types` shows them: their fields are read by `documents/target.py`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from squirrel.model.call_security import Auth, Tls
from squirrel.model.limits import TARGET_HEADERS_MAX
from squirrel.model.signing import KEYS_MAX

_SECRET: Final = {
    "anyOf": [
        {"type": "string", "writeOnly": True},
        {"type": "object", "properties": {"secret": {"type": "string"}}, "required": ["secret"]},
    ],
    "x-secret": True,
}
_HEADERS: Final = {
    "type": "object",
    "maxProperties": TARGET_HEADERS_MAX,
    "additionalProperties": {"anyOf": [{"type": "string"}, _SECRET]},
    "description": "values whose name says secret, token, auth and the like are encrypted and never shown again",
}


def _defined() -> dict[str, Any]:
    schemas, components = msgspec.json.schema_components([Auth, Tls], ref_template="#/$defs/{name}")
    auth, tls = schemas
    return {"auth": auth, "tls": tls, "$defs": components}


_PARTS: Final = _defined()
BUILT_IN_TYPES: Final[list[dict[str, Any]]] = [
    {
        "type": "http",
        "title": "Webhook",
        "description": "An HTTP request with the message as its JSON body.",
        "schema": {
            "type": "object",
            "required": ["url"],
            "additionalProperties": False,
            "properties": {
                "url": {"type": "string", "format": "uri"},
                "method": {
                    "type": "string",
                    "enum": ["POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"],
                    "default": "POST",
                },
                "headers": _HEADERS,
                "signing": {
                    "type": "object",
                    "required": ["secrets"],
                    "properties": {"secrets": {"type": "array", "items": _SECRET, "maxItems": KEYS_MAX, "minItems": 1}},
                    "description": "whsec_ secrets of its own, newest first, instead of the installation's",
                },
                "auth": _PARTS["auth"],
                "tls": _PARTS["tls"],
            },
            "$defs": _PARTS["$defs"],
        },
        "secrets": ["auth", "signing", "tls.key"],
        "example": {"type": "http", "url": "https://hooks.example.com/email"},
        "needs": "",
    },
    {
        "type": "kafka",
        "title": "Kafka topic",
        "description": "A record on a topic of the same cluster.",
        "schema": {
            "type": "object",
            "required": ["topic"],
            "additionalProperties": False,
            "properties": {
                "topic": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,249}$"},
                "key": {"type": "string", "maxLength": 1024},
                "headers": _HEADERS,
            },
        },
        "secrets": [],
        "example": {"type": "kafka", "topic": "reminders"},
        "needs": "",
    },
]
