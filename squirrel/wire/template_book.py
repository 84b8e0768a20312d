"""Templates by namespace, from the records of the definitions topic, and what a create that names one becomes.

Gateway and intake each follow the topic and ask a book of their own.
"""

from __future__ import annotations

import msgspec

from squirrel.model.errors import Refused
from squirrel.wire.documents.json_text import visible
from squirrel.wire.documents.template import (
    StoredTemplate,
    decode_template,
    expand_template,
    opened_template,
    template_key,
    template_name,
    template_of,
)
from squirrel.wire.route_book import Definitions
from squirrel.wire.vault import Vault


class TemplateBook:
    """All templates as of the newest definitions; each read when it is asked for. `vault` opens what they hold sealed."""

    def __init__(self, definitions: Definitions, vault: Vault | None = None) -> None:
        self._definitions = definitions
        self._vault = vault

    def get(self, namespace: str, name: str) -> StoredTemplate | None:
        """None too for a value that is not ours."""
        value = self._definitions.values.get(template_key(namespace, name).encode())
        return None if value is None else _read(value)

    def all(self, namespace: str) -> list[StoredTemplate]:
        """By name."""
        prefix = template_key(namespace, "").encode()
        keys = sorted(key for key in self._definitions.values if key.startswith(prefix))
        found = (_read(self._definitions.values[key]) for key in keys)
        return [each for each in found if each is not None]

    def expanded(self, body: bytes, namespace: str) -> bytes:
        """The body of a create, its template filled in when it names one. Raises Refused."""
        values = template_of(body)
        if values is None:
            return body
        name = template_name(values)
        template = self.get(namespace, name)
        if template is None:
            reason = f"there is no template {visible(name)}; see GET /api/v1/templates"
            raise Refused.one("template", reason)
        return expand_template(opened_template(template, (self._vault, namespace)), values)


def _read(value: bytes) -> StoredTemplate | None:
    try:
        return decode_template(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
