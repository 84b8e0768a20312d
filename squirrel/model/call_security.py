"""Who a webhook says it is from, and whom it believes: signing keys, credentials, certificates of one target.

Every text that is a secret is in its stored form (`wire/secret_texts.py`) and decrypted in the executor only.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

SecretText = Annotated[str, Meta(extra_json_schema={"x-secret": True, "writeOnly": True})]
PEM_CHARS_MAX: Final = 32_768
SCOPE_CHARS_MAX: Final = 1024


class Bearer(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="bearer", tag_field="type"):
    """`Authorization: Bearer <token>`."""

    token: SecretText


class Basic(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="basic", tag_field="type"):
    """`Authorization: Basic ...` of RFC 7617."""

    username: Annotated[str, Meta(max_length=255, pattern=r"^[^:\x00-\x1f\x7f]*$")]
    password: SecretText


class ApiKey(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="header", tag_field="type"):
    """A header of any name whose value is secret."""

    name: Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,255}$")]
    value: SecretText


class ClientCredentials(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="oauth2", tag_field="type"
):
    """OAuth 2.0 client credentials (RFC 6749 4.4): a token of `token_url`, kept until it is about to expire."""

    token_url: Annotated[str, Meta(min_length=1, max_length=2048)]
    client_id: Annotated[str, Meta(min_length=1, max_length=1024)]
    client_secret: SecretText
    scope: Annotated[str, Meta(max_length=SCOPE_CHARS_MAX)] = ""
    audience: Annotated[str, Meta(max_length=SCOPE_CHARS_MAX)] = ""


class OidcToken(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="oidc", tag_field="type"):
    """A Google-signed OIDC token of a service account, as Cloud Tasks sends it; `audience` defaults to the target's URL."""

    service_account: SecretText
    audience: Annotated[str, Meta(max_length=2048)] = ""


Auth = Bearer | Basic | ApiKey | ClientCredentials | OidcToken
AUTH_TYPES: Final[dict[str, type[Struct]]] = {
    "bearer": Bearer, "basic": Basic, "header": ApiKey, "oauth2": ClientCredentials, "oidc": OidcToken,
}  # fmt: skip


class Tls(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """PEM texts: authorities to believe instead of the system's, and a certificate of our own with its key (mutual TLS)."""

    ca: Annotated[str, Meta(max_length=PEM_CHARS_MAX)] = ""
    certificate: Annotated[str, Meta(max_length=PEM_CHARS_MAX)] = ""
    key: SecretText = ""


class HttpSecurity(Struct, frozen=True, omit_defaults=True):
    """What differs from the installation's ways. `signing`: stored secrets, newest first; none: the installation's keys."""

    signing: tuple[str, ...] = ()
    auth: Auth | None = None
    tls: Tls | None = None
