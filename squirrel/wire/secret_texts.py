"""Secret values inside schedules, routes and target configurations: how they are marked where they are stored and shown.

A stored secret is a text that begins with NUL, which no door lets in: `NUL e <sealed>` (see `wire/vault.py`) or `NUL n <name>`, a
reference to `PUT /api/v1/secrets/{name}`. So a text that came from outside is never taken for one, and no text from outside can
be one. The API takes a plain string, `{"secret": "name"}` and, to keep what is there, the mark `***` that answers show.
"""

from __future__ import annotations

import re
from typing import Any, Final

from squirrel.model.errors import Problem
from squirrel.model.limits import NAME_CHARS_MAX
from squirrel.wire.vault import SETTING, NoKey, Vault

SEALED: Final = "\0e"
NAMED: Final = "\0n"
SHOWN: Final = "***"  # stands in answers for a secret, and keeps it when it is sent back
SECRET_CHARS_MAX: Final = 16_384  # a private key of 4096 bits and its chain
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
NO_KEY_REASON: Final = f"is a secret, and no key is configured to encrypt it; set {SETTING} (openssl rand -base64 32)"


def is_hidden(text: str) -> bool:
    """Whether a stored text is a secret."""
    return text.startswith("\0")


def secret_name_problem(name: str) -> str | None:
    """Why a secret cannot have this name."""
    if 1 <= len(name) <= NAME_CHARS_MAX and _NAME.fullmatch(name):
        return None
    return f"must have 1 to {NAME_CHARS_MAX} letters, digits and _ . - and begin with a letter or _"


def is_reference(value: Any) -> bool:
    """Whether a value of the API names a secret: `{"secret": "name"}`."""
    return isinstance(value, dict) and set(value) == {"secret"} and isinstance(value["secret"], str)


def shown(value: Any) -> Any:
    """A stored JSON value as answers show it: every secret in it as the mark, or as the reference that it is."""
    if isinstance(value, str):
        if value.startswith(NAMED):
            return {"secret": value[len(NAMED) :]}
        return SHOWN if is_hidden(value) else value
    if isinstance(value, dict):
        return {key: shown(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shown(each) for each in value]
    return value


def hide(text: str, vault: Vault | None, place: str) -> str:
    """The stored form of a secret that came in plain. `vault` None leaves it (parts without a door). Raises NoKey."""
    return text if vault is None else SEALED + vault.seal(text, place)


def read_secret(
    field: str, value: Any, door: tuple[Vault | None, str], problems: list[Problem], before: str = ""
) -> str | None:
    """A secret of the API -> its stored form, or None and a problem. `door`: the vault and the place it is bound to.

    `before` is what stood there, for the mark.
    """
    reason: str | None = None
    if is_reference(value):
        reason = secret_name_problem(value["secret"])
        if reason is None:
            return NAMED + str(value["secret"])
        problems.append(Problem(f"{field}.secret", reason))
        return None
    if not isinstance(value, str):
        reason = 'must be a string, or {"secret": "name"} for one of PUT /api/v1/secrets/{name}'
    elif value == SHOWN:
        if before:
            return before
        reason = f"holds the mark {SHOWN} that answers show for a secret; send the secret itself"
    elif not 1 <= len(value) <= SECRET_CHARS_MAX:
        reason = f"must have 1 to {SECRET_CHARS_MAX} characters"
    elif "\0" in value:
        reason = "holds NUL; leave it out"
    else:
        try:
            return hide(value, *door)
        except NoKey:
            reason = NO_KEY_REASON
    problems.append(Problem(field, reason))
    return None
