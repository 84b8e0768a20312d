"""`target` and `fallback` -> Target and back."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from msgspec.structs import replace

from squirrel.model.addresses import CheckedUrl, normalise_url
from squirrel.model.errors import Problem, Refused
from squirrel.model.limits import (
    FALLBACKS_MAX,
    TARGET_HEADER_BYTES_MAX,
    TARGET_HEADERS_MAX,
    TIMEOUT_SECONDS_DEFAULT,
    TIMEOUT_SECONDS_MAX,
)
from squirrel.model.target import Fallback, HttpTarget, KafkaTarget, PluginTarget, Target
from squirrel.wire.documents.completion import FIELDS as COMPLETION
from squirrel.wire.documents.completion import completion_document, parse_completion
from squirrel.wire.documents.json_text import visible
from squirrel.wire.documents.names import TARGET, TARGET_NAMES, Entries, Names, entries_of, spellings, unknown
from squirrel.wire.documents.plugin_target import parse_plugin, plugin_document
from squirrel.wire.documents.retry import parse_retry_object, retry_document, seconds_of
from squirrel.wire.documents.security import FIELDS as SECURITY
from squirrel.wire.documents.security import parse_security, security_document
from squirrel.wire.documents.target_policy import TargetPolicy
from squirrel.wire.documents.values import Problems, read_ms, shown
from squirrel.wire.secret_texts import SHOWN, is_hidden, is_reference, read_secret
from squirrel.wire.secret_texts import shown as without_secrets
from squirrel.wire.target_types.registry import installed_types

REDACTED: Final = SHOWN  # stands in answers for a value that is a secret
TYPES: Final = ("http", "kafka")
_FIELDS: Final = {"http": ("type", "url", "method", "headers", "timeout_seconds", *COMPLETION, *SECURITY)} | {
    "kafka": ("type", "topic", "key", "headers", "timeout_seconds")
}
METHOD_CHARS_MAX: Final = 32
KAFKA_KEY_CHARS_MAX: Final = 1024
_FALLBACK_NAMES = spellings((*TARGET, "retry"))
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HTTP_VALUE = re.compile(r"[\t\x20-\x7e]*", re.ASCII)
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)
# Of the connection and not of the message (RFC 9110 7.6.1), or what the executor writes itself.
_RESERVED = frozenset(
    {
        "connection", "content-length", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "idempotency-key", "traceparent",
        "webhook-id", "webhook-signature", "webhook-timestamp",
    }
)  # fmt: skip
_SECRET = re.compile(
    r"auth|cookie|token|secret|password|passwd|api[-_]?key|signature|credential|session", re.IGNORECASE
)


Headers = tuple[tuple[str, str], ...]


def parse_target(
    entries: Entries, prefix: str, policy: TargetPolicy | None, problems: Problems, before: Target | None = None
) -> Target | None:
    """A target's fields by our names -> the noun, or None and what is wrong.

    `policy` None trusts what an earlier door has checked. `before` is the target whose secrets may come back as the mark.
    """
    kind_entry = entries.get("type")
    kind: Any = kind_entry[1] if kind_entry else ("kafka" if "topic" in entries and "url" not in entries else "http")
    if kind == "webhook":  # the Workflow Scheduler's word
        kind = "http"
    if kind not in TYPES:
        found = installed_types().get(kind)
        if found is not None:
            return parse_plugin(found, entries, prefix, policy, problems, before)
        field = kind_entry[0] if kind_entry else prefix
        known = ", ".join((*TYPES, *installed_types().kinds))
        problems.append(Problem(field, f"{shown(kind)} is no known target type; known are {known}"))
        return None
    count = len(problems)
    for name, (field, _) in entries.items():
        if name not in _FIELDS[kind]:
            problems.append(unknown(field, name, _FIELDS[kind], f"{prefix}."))
    timeout_ms = TIMEOUT_SECONDS_DEFAULT * 1000
    if (entry := entries.get("timeout_seconds")) is not None:
        timeout_ms = read_ms(*entry, problems, 0.001, TIMEOUT_SECONDS_MAX) or timeout_ms
    headers: Headers = ()
    if (entry := entries.get("headers")) is not None:
        headers = headers_stored(*entry, (policy, problems), http=kind == "http", before=headers_of(before))
    made: Target | None
    if kind == "http":
        made = _http(entries, prefix, policy, problems, (headers, timeout_ms))
        security = parse_security(
            entries, policy, problems, before.security if isinstance(before, HttpTarget) else None
        )
        if made is not None and security is not None:
            made = replace(made, security=security)
        completion_timeout_ms = parse_completion(entries, problems)
        if made is not None and completion_timeout_ms is not None:
            made = replace(made, completion_timeout_ms=completion_timeout_ms)
    else:
        made = _kafka(entries, prefix, policy, problems, (headers, timeout_ms))
    return made if len(problems) == count else None


def _http(
    entries: Entries, prefix: str, policy: TargetPolicy | None, problems: Problems, rest: tuple[Headers, int]
) -> HttpTarget | None:
    method = "POST"
    if (entry := entries.get("method")) is not None:
        field, value = entry
        if isinstance(value, str) and len(value) <= METHOD_CHARS_MAX and _TOKEN.fullmatch(value):
            method = value.upper() if value.upper() in _METHODS else value
        else:
            problems.append(Problem(field, f"must be an HTTP method such as POST, is {shown(value)}"))
        if method in ("CONNECT", "TRACE"):
            problems.append(Problem(field, f"{method} cannot carry a call; use POST, PUT, PATCH, GET, HEAD or DELETE"))
    if (entry := entries.get("url")) is None:
        problems.append(Problem(f"{prefix}.url", "is missing; send an address such as https://example.com/hook"))
        return None
    field, value = entry
    try:
        checked = _checked(value) if isinstance(value, str) else normalise_url(value, field)
        reason = None if policy is None else policy.reason(checked)
    except Refused as error:
        problems.append(Problem(field, error.problems[0].reason))
        return None
    if reason is not None:
        problems.append(Problem(field, reason))
        return None
    return HttpTarget(checked.text, method, rest[0], rest[1])


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})


@lru_cache(maxsize=1024)  # each up to 8 KiB
def _checked(url: str) -> CheckedUrl:
    return normalise_url(url)


def _kafka(
    entries: Entries, prefix: str, policy: TargetPolicy | None, problems: Problems, rest: tuple[Headers, int]
) -> KafkaTarget | None:
    field, topic = entries.get("topic", (f"{prefix}.topic", None))
    own = f"{policy.topic_prefix if policy else ''}squirrel."
    if topic is None:
        problems.append(Problem(field, "is missing; name the topic to write to"))
    elif not isinstance(topic, str) or not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        problems.append(
            Problem(field, f"must be 1 to 249 letters, digits, dots, hyphens and underscores, is {shown(topic)}")
        )
    elif topic.startswith("__") or (topic.startswith(own) and topic != f"{own}inbox"):
        problems.append(Problem(field, f"{topic} is internal; of {own}* only {own}inbox takes records from outside"))
    key = None
    if (entry := entries.get("key")) is not None:
        if isinstance(entry[1], str) and len(entry[1]) <= KAFKA_KEY_CHARS_MAX:
            key = entry[1]
        else:
            problems.append(Problem(entry[0], f"must be a string of at most {KAFKA_KEY_CHARS_MAX} characters"))
    return KafkaTarget(str(topic), key, rest[0], rest[1])


Door = tuple[TargetPolicy | None, Problems]


def headers_stored(field: str, value: Any, door: Door, *, http: bool, before: Headers = ()) -> Headers:
    """Headers of the API -> as they are stored, secrets sealed; what is wrong is added to the door's problems."""
    problems = door[1]
    if not isinstance(value, dict):
        problems.append(Problem(field, 'must be an object of strings such as {"X-Api-Key": "..."}'))
        return ()
    if len(value) > TARGET_HEADERS_MAX:
        problems.append(Problem(field, f"has {len(value)} headers, the limit is {TARGET_HEADERS_MAX}; send fewer"))
        return ()
    hidden = {name.lower(): text for name, text in before}
    seen: set[str] = set()
    kept = []
    for name, text in value.items():
        path = f"{field}.{visible(name)}"
        made = _header(path, (name, text), door, hidden.get(name.lower(), ""), http=http)
        if made is not None and name.lower() in seen:
            problems.append(Problem(path, "is sent twice (case does not matter); send it once"))
        elif made is not None:
            seen.add(name.lower())
            kept.append((name, made))
    return tuple(kept)


def _header(path: str, header: tuple[str, Any], door: Door, before: str, *, http: bool) -> str | None:
    """One header's value as it is stored, or None and a problem."""
    name, text = header
    policy, problems = door
    if isinstance(text, str) and is_hidden(text) and (policy is None or text == before):
        return text
    secret = is_secret_name(name)
    if isinstance(text, dict) and set(text) == {"hidden"}:
        secret, text = True, text["hidden"]
    reference = is_reference(text)
    reason = _header_reason(name, "" if reference else text, before, http=http)
    if reason is not None:
        problems.append(Problem(path, reason))
        return None
    if text == REDACTED:
        return before
    if not reference and http:
        text = text.strip(" \t")
    if reference and policy is None:
        problems.append(Problem(path, "refers to a secret, and was not read by a door"))
        return None
    if policy is None or not (secret or reference) or text == "":
        return str(text)
    return read_secret(path, text, policy.door, problems)


def is_secret_name(name: str) -> bool:
    """Whether a header of this name carries a secret."""
    return _SECRET.search(name) is not None


def _header_reason(name: str, text: Any, before: str, *, http: bool) -> str | None:
    lower = name.lower()
    if not isinstance(text, str):
        return f'must be a string, or {{"secret": "name"}}, is {shown(text)}'
    if len(name.encode()) + len(text.encode()) > TARGET_HEADER_BYTES_MAX:
        return f"has more than {TARGET_HEADER_BYTES_MAX} bytes, name and value together; shorten it"
    if not name or (http and not _TOKEN.fullmatch(name)) or not name.isprintable():
        return "has a name that is no header name; use letters, digits and hyphens"
    if http and not _HTTP_VALUE.fullmatch(text):
        return "holds a line end, NUL, another control or a character beyond ASCII; percent-encode it"
    if not http and "\0" in text:
        return "holds NUL; leave it out"
    if http and (lower in _RESERVED or lower.startswith("squirrel-")):
        return "is set by Squirrel or belongs to the connection; leave it out"
    if text == REDACTED and not (before and (is_hidden(before) or is_secret_name(name))):
        return f"holds the mark {REDACTED} that answers show for a secret; send the secret itself"
    return None


def parse_target_object(
    field: str, value: Any, policy: TargetPolicy | None, problems: Problems, before: Target | None = None
) -> Target | None:
    """A nested `target` object, or its address alone as the Scheduler Service writes it."""
    if isinstance(value, str):
        return parse_target({"url": (field, value)}, field, policy, problems, before)
    count = len(problems)
    entries = entries_of(value, target_names(value), field, problems)
    if len(problems) > count:
        return None
    given = {name: entry for name, entry in entries.items() if entry[1] is not None}
    return parse_target(given, field, policy, problems, before)


def target_names(value: Any, names: Names = TARGET_NAMES) -> Names:
    """The keys that a target object may have: of a plugin's type, its own say so and its configuration judges them."""
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind not in TYPES and installed_types().get(kind) is not None:
        return {key: names.get(key, key) if key in _COMMON else key for key in value}
    return names


_COMMON: Final = frozenset({"type", "timeout_seconds", "timeoutSeconds", "retry"})


def parse_fallback(
    field: str, value: Any, policy: TargetPolicy | None, problems: Problems, before: tuple[Fallback, ...] = ()
) -> tuple[Fallback, ...]:
    """`fallback`: up to FALLBACKS_MAX targets, each with an optional `retry` of its own."""
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list) or len(value) > FALLBACKS_MAX:
        problems.append(Problem(field, f"must be a list of at most {FALLBACKS_MAX} targets"))
        return ()
    made = []
    for index, each in enumerate(value):
        path = f"{field}[{index}]"
        count = len(problems)
        entries = entries_of(each, target_names(each, _FALLBACK_NAMES), path, problems)
        if len(problems) > count:
            continue
        given = {name: entry for name, entry in entries.items() if entry[1] is not None}
        retry_entry = given.pop("retry", None)
        kept = before[index].target if index < len(before) else None
        target = parse_target(given, path, policy, problems, kept)
        retry = parse_retry_object(*retry_entry, problems) if retry_entry else None
        if target is not None:
            made.append(Fallback(target, retry))
    return tuple(made)


def headers_of(target: Target | None) -> Headers:
    """A target's own headers."""
    return target.headers if isinstance(target, (HttpTarget, KafkaTarget)) else ()


def target_document(target: Target, *, redact: bool) -> dict[str, Any]:
    """A target in the API's words; `redact` hides every secret, else they stand in their stored form."""
    document: dict[str, Any]
    if isinstance(target, PluginTarget):
        document = plugin_document(target)
        return without_secrets(document) if redact else document
    headers = {
        name: REDACTED if redact and is_secret_name(name) and not is_hidden(text) else text
        for name, text in target.headers
    }
    if isinstance(target, HttpTarget):
        document = {"type": "http", "url": target.url, "method": target.method, "headers": headers}
        document |= security_document(target.security) | completion_document(target.completion_timeout_ms)
    else:
        document = {"type": "kafka", "topic": target.topic, "key": target.key, "headers": headers}
    document["timeout_seconds"] = seconds_of(target.timeout_ms)
    return without_secrets(document) if redact else document


def fallback_document(fallback: Fallback, *, redact: bool) -> dict[str, Any]:
    """A fallback in the API's words."""
    shown_target = target_document(fallback.target, redact=redact)
    return shown_target if fallback.retry is None else {**shown_target, "retry": retry_document(fallback.retry)}


__all__ = [
    "REDACTED",
    "TYPES",
    "TargetPolicy",
    "fallback_document",
    "headers_of",
    "headers_stored",
    "is_secret_name",
    "parse_fallback",
    "parse_target",
    "parse_target_object",
    "target_document",
    "target_names",
]
