"""Names: namespaces, schedule ids, run ids, and the hash from which a partition follows."""

from __future__ import annotations

import re
from hashlib import blake2b

from squirrel.model.limits import ID_CHARS_MAX, NAMESPACE_CHARS_MAX

DEFAULT_NAMESPACE = "default"
# Starts like a name, holds nothing that needs escaping in a URL path; a verb after a colon is the gateway's (`:pause`).
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@~+=-]*", re.ASCII)
_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)
VERBS = frozenset(
    {
        "pause",
        "resume",
        "trigger",
        "preview-resume",
        "rollback",
        "replay",
        "batch",
        "bulk",
        "complete",
        "heartbeat",
        "start",
        "cancel",
        "retry",
        "skip",
    }
)


def id_problem(text: object) -> str | None:
    """Why `text` cannot be a schedule id, or None."""
    if not isinstance(text, str):
        return "must be a string"
    if not 1 <= len(text) <= ID_CHARS_MAX:
        return f"must have 1 to {ID_CHARS_MAX} characters, has {len(text)}"
    if _ID.fullmatch(text) is None:
        return "may hold letters, digits and . _ : @ ~ + = - only, and starts with a letter, a digit or _"
    if text.rpartition(":")[2] in VERBS and ":" in text:
        return f"must not end in a verb of the API (:{text.rpartition(':')[2]}); choose another ending"
    return None


def namespace_problem(text: object) -> str | None:
    """Why `text` cannot be a namespace, or None."""
    if not isinstance(text, str) or not 1 <= len(text) <= NAMESPACE_CHARS_MAX or _NAMESPACE.fullmatch(text) is None:
        return f"must be 1 to {NAMESPACE_CHARS_MAX} lower-case letters, digits and inner hyphens, such as team-a"
    return None


def key_hash(namespace: str, key: str) -> int:
    """32 bits that decide the partition of (namespace, schedule id or group); the same in every process and language.

    blake2b because it is in every standard library and, unlike the Kafka clients' partitioners, one function everywhere.
    """
    return int.from_bytes(blake2b(f"{namespace}\0{key}".encode(), digest_size=4).digest(), "big")


def run_id(namespace: str, schedule_id: str, slot_ms: int, nonce: str = "") -> str:
    """`run_` + 32 hex: a hash of (namespace, schedule id, slot, trigger nonce), stable over all attempts of the run."""
    text = f"{namespace}\0{schedule_id}\0{slot_ms}\0{nonce}"
    return "run_" + blake2b(text.encode(), digest_size=16).hexdigest()


def id_from_idempotency_key(namespace: str, key: str) -> str:
    """The schedule id that an `Idempotency-Key` stands for when the body names none: repeats meet the same row."""
    return "idem_" + blake2b(f"{namespace}\0{key}".encode(), digest_size=16).hexdigest()
