"""One call as handlers see it: who asks, for which path, with which parameters, headers and body."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.types import Scope

from squirrel.gateway.limits import IDEMPOTENCY_KEY_CHARS_MAX
from squirrel.gateway.problems import Answered, invalid
from squirrel.model.ids import DEFAULT_NAMESPACE, id_problem, namespace_problem
from squirrel.model.limits import PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX

QUERY_PARAMETERS_MAX: Final = 50
_ETAG: Final = re.compile(r'(W/)?"[!#-~]*"|[0-9]+')  # RFC 9110, and the bare number that people send


class Call:
    """Reads of the request what handlers ask for; every reader raises Answered with the parameter's or header's name."""

    __slots__ = ("_headers", "body", "namespace", "path", "query", "scope")

    def __init__(self, scope: Scope, path: Mapping[str, str], parameters: Iterable[str]) -> None:
        self.scope = scope
        self.path = path
        self.body: bytes = scope.get("squirrel.body", b"")
        self._headers = scope["headers"]
        self.query = _query(scope["query_string"], parameters)
        self.namespace = self._namespace()

    def header(self, name: bytes) -> str | None:
        """A header's value; 422 when it was sent twice with different values. `name` in lower case."""
        found: bytes | None = None
        for key, value in self._headers:
            if key == name:
                if found is not None and found != value:
                    raise invalid(name.decode(), "is sent twice with different values; send it once")
                found = value
        return None if found is None else found.decode("latin-1").strip()

    def _namespace(self) -> str:
        namespace = self.header(b"squirrel-namespace")
        if namespace is None:
            return DEFAULT_NAMESPACE
        reason = namespace_problem(namespace)
        if reason is not None:
            raise invalid("Squirrel-Namespace", reason)
        return namespace

    @property
    def respond_async(self) -> bool:
        """Whether the caller does not want to wait for the outcome (RFC 7240)."""
        prefer = self.header(b"prefer") or ""
        return any(each.split(";")[0].strip().lower() == "respond-async" for each in prefer.split(","))

    @property
    def idempotency_key(self) -> str | None:
        """The key, without the quotes that the draft standard puts around it."""
        key = self.header(b"idempotency-key")
        if key is None:
            return None
        if len(key) >= 2 and key[0] == key[-1] == '"':
            key = key[1:-1]
        if not 1 <= len(key) <= IDEMPOTENCY_KEY_CHARS_MAX or not key.isprintable():
            raise invalid("Idempotency-Key", f"must be 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable characters")
        return key

    @property
    def if_revision(self) -> int | None:
        """The revision that `If-Match` names; None without one or for `*`. Raises Answered: 422 for what is no ETag."""
        text = self.header(b"if-match")
        if text is None or text == "*":
            return None
        if _ETAG.fullmatch(text) is None:
            raise invalid("If-Match", 'must be the ETag of your last GET, such as "3"')
        revision = text.removeprefix("W/").strip('"')
        if not revision.isascii() or not revision.isdigit() or len(revision) > 18:
            raise Answered(
                "stale_revision",
                'If-Match names no revision of this schedule; send the ETag of your last GET, such as "3"',
            )
        return int(revision)

    @property
    def schedule_id(self) -> str:
        """The id in the path. Raises Answered 404 for what cannot be one."""
        schedule_id = self.path["id"]
        reason = id_problem(schedule_id)
        if reason is not None:
            raise Answered("not_found", f"no schedule can have this id: it {reason}")
        return schedule_id

    def choice(self, name: str, choices: Iterable[str]) -> str | None:
        """One of a few words."""
        value = self.query.get(name)
        known = list(choices)
        if value is not None and value not in known:
            raise invalid(name, f"must be one of {', '.join(known)}")
        return value

    def choices(self, name: str, choices: Iterable[str]) -> tuple[str, ...]:
        """Words separated by commas; empty when the parameter is absent."""
        value = self.query.get(name)
        if value is None:
            return ()
        known = list(choices)
        given = tuple(dict.fromkeys(each.strip() for each in value.split(",")))
        if not all(each in known for each in given):
            raise invalid(name, f"must be one or, separated by commas, several of {', '.join(known)}")
        return given

    @property
    def limit(self) -> int:
        """How many items a page may have."""
        text = self.query.get("limit")
        if text is None:
            return PAGE_ITEMS_DEFAULT
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= PAGE_ITEMS_MAX):
            raise invalid("limit", f"must be a whole number from 1 to {PAGE_ITEMS_MAX}")
        return int(text)


def _query(query: bytes, parameters: Iterable[str]) -> dict[str, str]:
    if not query:
        return {}
    known = tuple(parameters)
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=QUERY_PARAMETERS_MAX
        )
    except ValueError:
        raise invalid(
            "query", f"must be percent-encoded UTF-8 with at most {QUERY_PARAMETERS_MAX} parameters"
        ) from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            shown = name.encode("ascii", "backslashreplace").decode()[:100]
            raise invalid(shown, f"is no parameter of this call; known are: {', '.join(known) or 'none'}")
        if name in found:
            raise invalid(name, "is sent twice; send it once")
        if "\0" in value:
            raise invalid(name, "holds NUL; leave it out")
        found[name] = value
    return found
