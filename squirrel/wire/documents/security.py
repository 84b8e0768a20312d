"""`signing`, `auth` and `tls` of an HTTP target -> HttpSecurity and back."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec
from msgspec.structs import replace

from squirrel.model.call_security import AUTH_TYPES, Auth, ClientCredentials, HttpSecurity, Tls
from squirrel.model.errors import Problem, Refused
from squirrel.model.signing import KEYS_MAX, parse_secret
from squirrel.model.target import HttpTarget, Target
from squirrel.wire.documents.names import Entries
from squirrel.wire.documents.target_policy import TargetPolicy
from squirrel.wire.documents.typed_config import read_config
from squirrel.wire.documents.values import Problems, shown
from squirrel.wire.secret_texts import SHOWN, is_hidden, is_reference, read_secret

FIELDS: Final = ("signing", "auth", "tls")
AUTH_SECRETS: Final = frozenset({"token", "password", "value", "client_secret", "service_account"})
_SIGNING_EXAMPLE: Final = '{"secrets": ["whsec_..."]}, newest first'


def parse_security(
    entries: Entries, policy: TargetPolicy | None, problems: Problems, before: HttpSecurity | None
) -> HttpSecurity | None:
    """The three fields that are there -> the noun; None when none is."""
    if not any(name in entries for name in FIELDS):
        return None
    was = before or HttpSecurity()
    signing: tuple[str, ...] = ()
    auth: Auth | None = None
    tls: Tls | None = None
    if (entry := entries.get("signing")) is not None:
        signing = parse_signing(*entry, policy, problems, was.signing)
    if (entry := entries.get("auth")) is not None:
        auth = _auth(*entry, policy, problems, was.auth)
    if (entry := entries.get("tls")) is not None:
        tls = _tls(*entry, policy, problems, was.tls)
    made = HttpSecurity(signing, auth, tls)
    return None if made == HttpSecurity() else made


def parse_signing(
    field: str, value: Any, policy: TargetPolicy | None, problems: Problems, before: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """`{"secrets": [...]}`, `{"secret": ...}`, or one secret alone -> stored secrets."""
    if isinstance(value, dict) and set(value) == {"secrets"}:
        given = value["secrets"]
        place = f"{field}.secrets"
    elif isinstance(value, dict) and set(value) == {"secret"} and not is_reference(value):
        given, place = [value["secret"]], f"{field}.secret"
    else:
        given, place = [value], field
    if not isinstance(given, list) or not 1 <= len(given) <= KEYS_MAX:
        problems.append(Problem(place, f"must be {_SIGNING_EXAMPLE}; 1 to {KEYS_MAX} may be active"))
        return ()
    found = []
    for index, each in enumerate(given):
        where = f"{place}[{index}]" if len(given) > 1 or place.endswith("s") else place
        if policy is None and isinstance(each, str):
            found.append(each)
            continue
        if isinstance(each, str) and each != SHOWN and not (is_hidden(each) and each in before):
            try:
                parse_secret(each, where)
            except Refused as refused:
                problems.extend(refused.problems)
                continue
        if isinstance(each, str) and is_hidden(each):
            found.append(each)
            continue
        assert policy is not None, "a trusted document holds stored secrets"
        kept = before[index] if index < len(before) else ""
        stored = read_secret(where, each, policy.door, problems, kept)
        if stored is not None:
            found.append(stored)
    return tuple(found)


def signing_of(target: Target) -> tuple[str, ...]:
    """The stored signing secrets of a target's own."""
    return target.security.signing if isinstance(target, HttpTarget) and target.security is not None else ()


def signed_by(target: Target, signing: tuple[str, ...]) -> Target:
    """A route's secrets sign its webhooks that have none of their own."""
    if not signing or not isinstance(target, HttpTarget) or signing_of(target):
        return target
    return replace(target, security=replace(target.security or HttpSecurity(), signing=signing))


def _auth(field: str, value: Any, policy: TargetPolicy | None, problems: Problems, before: Auth | None) -> Auth | None:
    kind = value.get("type") if isinstance(value, dict) else None
    cls = AUTH_TYPES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        known = ", ".join(AUTH_TYPES)
        problems.append(Problem(f"{field}.type", f"must be one of {known}, is {shown(kind)}"))
        return None
    was = msgspec.to_builtins(before) if isinstance(before, cls) else None
    read = read_config(cls, AUTH_SECRETS, (field, value), policy, problems, was)
    if read is None:
        return None
    if isinstance(read.plain, ClientCredentials) and policy is not None:
        problem = policy.problem_of(read.plain.token_url, f"{field}.token_url")
        if problem is not None:
            problems.append(problem)
            return None
    return cast("Auth", msgspec.convert(read.stored, cls))


def _tls(field: str, value: Any, policy: TargetPolicy | None, problems: Problems, before: Tls | None) -> Tls | None:
    if not isinstance(value, dict):
        problems.append(Problem(field, "must be an object with ca, or with certificate and key, as PEM texts"))
        return None
    was = msgspec.to_builtins(before) if before is not None else None
    read = read_config(Tls, frozenset({"key"}), (field, value), policy, problems, was)
    if read is None:
        return None
    plain = cast("Tls", read.plain)
    count = len(problems)
    if policy is not None:
        for name, text in (("ca", plain.ca), ("certificate", plain.certificate)):
            if text and not _is_certificates(text):
                problems.append(Problem(f"{field}.{name}", "must be certificates in PEM (-----BEGIN CERTIFICATE-----)"))
        if plain.key and not is_hidden(plain.key) and not _is_key(plain.key):
            problems.append(Problem(f"{field}.key", "must be a private key in PEM without a passphrase"))
    if bool(plain.certificate) != bool(plain.key):
        problems.append(Problem(field, "needs certificate and key together"))
    return msgspec.convert(read.stored, Tls) if len(problems) == count else None


def _is_certificates(text: str) -> bool:
    from cryptography import x509

    try:
        return bool(x509.load_pem_x509_certificates(text.encode()))
    except ValueError:
        return False


def _is_key(text: str) -> bool:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError):
        return False
    return True


def security_document(security: HttpSecurity | None) -> dict[str, Any]:
    """The fields as they are stored; `secret_texts.shown` makes them fit to be seen."""
    if security is None:
        return {}
    document: dict[str, Any] = {}
    if security.signing:
        document["signing"] = {"secrets": list(security.signing)}
    if security.auth is not None:
        document["auth"] = msgspec.to_builtins(security.auth)
    if security.tls is not None:
        document["tls"] = msgspec.to_builtins(security.tls)
    return document
