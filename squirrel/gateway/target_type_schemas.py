"""What `target` may be in the OpenAPI document: one object per type of this installation, plugins included.

Made from what the readers use: the Structs of the types and of `model.call_security`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from squirrel.gateway.schema_words import TEXT, Schema, choice, closed, listed, nullable, number, ref, text
from squirrel.model.call_security import Auth, Tls
from squirrel.model.limits import COMPLETION_SECONDS_MAX, NAME_CHARS_MAX, TARGET_HEADERS_MAX, TIMEOUT_SECONDS_MAX
from squirrel.model.signing import KEYS_MAX
from squirrel.wire.secret_texts import SECRET_CHARS_MAX
from squirrel.wire.target_types.kind import TargetType
from squirrel.wire.target_types.registry import installed_types

URL: Final = (
    r"^https?://([a-z]([a-z0-9]{0,30}[a-z0-9])?\.)*[a-z]{2,30}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~!$&'()*+,;=:@-]*)*$"
)
HEADER_NAME: Final = r"^[Xx]-[A-Za-z0-9][A-Za-z0-9-]*$|^(Authorization|Content-Type|Accept|User-Agent)$"
SECRET_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_.-]*$"
_COMPONENT: Final = "#/components/schemas/{name}"
_DESCRIPTION: Final = (
    "One of the types of this installation. Packages that are installed beside it add more (docs/targets.md); "
    "`GET /api/v1/target-types` lists all of them with examples, and says which of their fields are secrets."
)
_NAMED: Final[Schema] = closed(["secret"], secret=text(NAME_CHARS_MAX, SECRET_NAME))
_HIDDEN: Final[Schema] = closed(["hidden"], hidden=text(4096, TEXT, writeOnly=True))
_HEADERS: Final[Schema] = {
    "type": "object",
    "maxProperties": TARGET_HEADERS_MAX,
    "propertyNames": {"pattern": HEADER_NAME, "maxLength": 100},
    "additionalProperties": {"anyOf": [{"type": "string", "maxLength": 4096, "pattern": TEXT}, _NAMED, _HIDDEN]},
}
_TIMEOUT: Final = number(0.001, TIMEOUT_SECONDS_MAX, default=30)
_SECRETS: Final[dict[str, Schema]] = {
    "SecretText": {
        "anyOf": [{"type": "string", "minLength": 1, "maxLength": SECRET_CHARS_MAX, "writeOnly": True}, _NAMED],
        "description": "by value or by the name of one of PUT /api/v1/secrets/{name}; encrypted, and shown as ***",
    },
    "SigningSecret": {
        "anyOf": [text(100, r"^whsec_([A-Za-z0-9+/]{4}){8,21}$", writeOnly=True), _NAMED],
        "description": "of Standard Webhooks: 24 to 64 random bytes as base64",
    },
}


def target_schemas() -> dict[str, Schema]:
    """`Target`, `FallbackTarget`, and the parts that they refer to."""
    (auth, tls), parts = msgspec.json.schema_components([Auth, Tls], ref_template=_COMPONENT)
    branches = [_http(auth, tls), _kafka(), *(_of(each, parts) for each in installed_types())]
    with_retry = [{**each, "properties": each["properties"] | {"retry": nullable(ref("Retry"))}} for each in branches]
    return {
        "Target": {"description": _DESCRIPTION, "oneOf": branches},
        "FallbackTarget": {"description": _DESCRIPTION, "oneOf": with_retry},
        **{name: _referring(schema) for name, schema in parts.items()},
        **_SECRETS,
    }


def _http(auth: Schema, tls: Schema) -> Schema:
    made = closed(
        ["url"],
        type=choice("http"),
        url=text(2048, URL),
        method=choice("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", default="POST"),
        headers=_HEADERS,
        timeout_seconds=_TIMEOUT,
        signing=closed(["secrets"], secrets=listed(ref("SigningSecret"), KEYS_MAX, 1)),
        auth=auth,
        tls=tls,
        completion=choice("sync", "async", default="sync", description="`async`: a 202 is a promise"),
        completion_timeout_seconds=number(1, COMPLETION_SECONDS_MAX),
    )
    return {**made, "title": "a webhook"}


def _kafka() -> Schema:
    topic = text(249, r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    made = closed(["topic"], type=choice("kafka"), topic=topic, key=text(255), timeout_seconds=_TIMEOUT)
    return {**made, "title": "a Kafka topic"}


def _of(kind: TargetType, parts: dict[str, Schema]) -> Schema:
    """A type's own configuration beside what every target has; the Structs in it go to `parts`."""
    _, held = msgspec.json.schema_components([kind.config], ref_template=f"#/components/schemas/{kind.kind}_{{name}}")
    own = _referring(held.pop(kind.config.__name__))
    parts.update({f"{kind.kind}_{name}": schema for name, schema in held.items()})
    required = [*own["required"], "type"]
    fields = own["properties"] | {"type": choice(kind.kind), "timeout_seconds": _TIMEOUT}
    return {**closed(required, **fields), "title": kind.title, "description": kind.description}


def _referring(schema: Any) -> Any:
    """The schema with its secrets by value or by name."""
    if isinstance(schema, list):
        return [_referring(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-secret"):
        said = {"description": schema["description"]} if "description" in schema else {}
        return ref("SecretText") | said
    return {key: _referring(each) for key, each in schema.items()}
