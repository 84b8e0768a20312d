"""Where targets may be: the one form of a URL, the addresses nobody may be sent to, and the lists that make exceptions.

Pure. Sources: reference/reliability.md 3.1 (union of Smokescreen's and Svix's lists), the IANA special-purpose registries,
RFC 6052 (NAT64), 3056 (6to4), 4380 (Teredo), 5214 (ISATAP). `ipaddress.is_global` is not used: its answers are wrong for a
dozen ranges and differ between Python versions; that module only parses here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from squirrel.model.errors import Refused
from squirrel.model.limits import URL_CHARS_MAX

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HOST_CHARS_MAX: Final = 253  # RFC 1035; also bounds punycode, whose cost is quadratic
LABEL_CHARS_MAX: Final = 63

_DENIED_V4: Final = tuple(
    (IPv4Network(text), reason)
    for text, reason in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private network"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),
        ("169.254.0.0/16", "link-local, cloud metadata"),
        ("172.16.0.0/12", "private network"),
        ("192.0.0.0/24", "protocol assignments, cloud metadata"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112 sink"),
        ("192.52.193.0/24", "multicast relay"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private network"),
        ("192.175.48.0/24", "AS112 sink"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved, broadcast"),
    )
)
# Ordered: the first match names the reason. What no row matches must still lie in 2000::/3, see `_denied`.
_DENIED_V6: Final = tuple(
    (IPv6Network(text), reason)
    for text, reason in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("100::/64", "discard"),
        ("100:0:0:1::/64", "dummy prefix"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "protocol assignments"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112 sink"),
        ("3ffe::/16", "returned 6bone"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "private network"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_COMPATIBLE: Final = IPv6Network("::/96")
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_ISATAP_IDS: Final = (0x00005EFE, 0x02005EFE)

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?]*)([^?]*)(\?.*)?", re.ASCII | re.DOTALL)
_BRACKETED: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::(.*))?", re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?", re.ASCII)
_NUMERIC_END: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_OCTET: Final = re.compile(r"0|[1-9][0-9]{0,2}", re.ASCII)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
# Controls, space, DEL, C1, Unicode blanks and line ends, bidi and zero-width marks, surrogates; and the backslash.
_UNSAFE: Final = re.compile(
    "[\x00-\x20\x7f-\xa0\xad\\\\\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ud800-\udfff]"
)
_IDNA_DOTS: Final = re.compile("[\u3002\uff0e\uff61]")
# These four mean one host in IDNA 2003 and another in IDNA 2008, so a name that holds one is written in punycode.
_IDNA_DEVIATIONS: Final = re.compile("[\u00df\u1e9e\u03c2\u200c\u200d]")
_TARGET_SAFE: Final = "/:@!$&'()*+,;=-._~%?[]"  # as sent: what RFC 3986 allows, and existing escapes, stay as they are


class CheckedUrl(Struct, frozen=True):
    """One URL in its only form. `host` is ASCII without brackets; `address` is the packed literal or None for a name."""

    scheme: str  # http or https
    host: str
    port: int
    request_target: str  # path and query, as it stands on the request line
    host_header: str  # with brackets, and with the port when it is not the scheme's
    address: bytes | None = None

    @property
    def text(self) -> str:
        """The normalised URL."""
        return f"{self.scheme}://{self.host_header}{self.request_target}"


def refusal(address: str | bytes, allow: tuple[Network, ...] = ()) -> str | None:
    """Why nobody may be sent to `address` (text, or 4 or 16 packed bytes), or None.

    `allow` wins over the table. An IPv4 address inside an IPv6 one is checked too, whatever is allowed around it; a mapped
    one (::ffff:a.b.c.d) counts as that IPv4 address alone. The reason never holds the address.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return "not an IP address"
    if isinstance(parsed, IPv4Address):
        return _denied(parsed, allow)
    if parsed.scope_id is not None:
        return "zone id"
    if parsed.ipv4_mapped is not None:
        return _denied(parsed.ipv4_mapped, allow)
    reason = _denied(parsed, allow)
    if reason is not None:
        return reason
    if any(parsed in network for network in allow if network.version == 6 and network.prefixlen == 128):
        return None  # named one by one, so the operator knows what it is
    return next((inner for inner in (_denied(each, allow) for each in _embedded(parsed)) if inner is not None), None)


def is_allowed_only_by_list(address: bytes) -> bool:
    """Whether the table refuses `address`, so that only an operator's list can have let it through."""
    return refusal(address) is not None


def _denied(address: Address, allow: tuple[Network, ...]) -> str | None:
    if any(address.version == network.version and address in network for network in allow):
        return None
    if isinstance(address, IPv4Address):
        return next((reason for network, reason in _DENIED_V4 if address in network), None)
    reason = next((reason for network, reason in _DENIED_V6 if address in network), None)
    if reason is None and int(address) >> 32 & 0xFFFFFFFF in _ISATAP_IDS:
        return "ISATAP"
    return reason or (None if address in _GLOBAL_V6 else "not global unicast")


def _embedded(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that a transition mechanism would send this to."""
    number = int(address)
    found = []
    if (
        address in _COMPATIBLE
        or any(address in network for network in _NAT64)
        or number >> 32 & 0xFFFFFFFF in _ISATAP_IDS
    ):
        found.append(IPv4Address(number & 0xFFFFFFFF))
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found.extend(address.teredo)
    return found


def parse_networks(texts: str | Iterable[str], field: str = "allow_cidrs") -> tuple[Network, ...]:
    """`127.0.0.0/8,::1/128` (or a list) -> networks. Raises Refused naming `field`; a bare address is one address."""
    parts = texts.split(",") if isinstance(texts, str) else list(texts)
    networks: list[Network] = []
    for part in (each.strip() for each in parts):
        if not part:
            continue
        try:
            network = ip_network(part)
        except ValueError:
            raise Refused.one(field, f"{part!r} is no network; write it as 10.0.0.0/8, with host bits zero") from None
        if isinstance(network, IPv6Network) and "%" in part:
            raise Refused.one(field, f"{part!r} has a zone id; write the network without it")
        if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
            raise Refused.one(field, f"{part!r} is an IPv4-mapped network; write the IPv4 network itself")
        networks.append(network)
    return tuple(networks)


def parse_host_patterns(texts: str | Iterable[str], field: str = "allowed_hosts") -> tuple[str, ...]:
    """`hooks.example.com,*.example.org` (or a list) -> normalised patterns; `*` stands in front only, or alone."""
    parts = texts.split(",") if isinstance(texts, str) else list(texts)
    patterns = []
    for part in (each.strip() for each in parts):
        if not part:
            continue
        wildcard = "*." if part.startswith("*.") else ""
        rest = part[len(wildcard) :]
        if part == "*":
            patterns.append(part)
        elif "*" in rest:
            raise Refused.one(field, f"{part!r}: write * in front only, followed by a dot, such as *.example.com")
        else:
            patterns.append(wildcard + normalise_host(rest, field)[0])
    return tuple(patterns)


def host_allowed(host: str, patterns: tuple[str, ...]) -> bool:
    """Whether a normalised host matches; no patterns allow every host. `*.a.b` matches any depth below a.b, not a.b."""
    if not patterns or host in patterns or "*" in patterns:
        return True
    return any(pattern[0] == "*" and host.endswith(pattern[1:]) for pattern in patterns)


def normalise_url(url: object, field: str = "url") -> CheckedUrl:
    """The one form of a target's URL, used for the check, the dial, Host and SNI alike. Raises Refused naming `field`."""
    if not isinstance(url, str):
        raise Refused.one(field, "must be a string such as https://example.com/hook")
    if not 1 <= len(url) <= URL_CHARS_MAX:
        raise Refused.one(field, f"must have 1 to {URL_CHARS_MAX} characters, has {len(url)}")
    if _UNSAFE.search(url):
        raise Refused.one(
            field, "holds a blank, a control character, an invisible mark or a backslash; percent-encode it"
        )
    if "#" in url:
        raise Refused.one(field, "holds a fragment (#), which is never sent; leave it out, or write # as %23")
    match = _URL.fullmatch(url)
    if match is None:
        raise Refused.one(field, "is no absolute URL; write it as https://example.com/hook")
    scheme, authority, path, query = match.group(1).lower(), match.group(2), match.group(3), match.group(4) or ""
    if scheme not in ("http", "https"):
        raise Refused.one(field, "must begin with http:// or https://")
    if "@" in authority:
        raise Refused.one(field, "holds a user name or password; send credentials in a header instead")
    bracketed = _BRACKETED.fullmatch(authority)
    if bracketed is not None:
        host_text, port_text = f"[{bracketed.group(1)}]", bracketed.group(2)
    else:
        host_text, colon, port_text = authority.partition(":")
        port_text = port_text if colon else None
    default_port = 443 if scheme == "https" else 80
    port = default_port if port_text is None else _port(port_text, field)
    host, address = normalise_host(host_text, field)
    name = f"[{host}]" if ":" in host else host
    return CheckedUrl(
        scheme=scheme,
        host=host,
        port=port,
        request_target=quote(path or "/", safe=_TARGET_SAFE) + quote(query, safe=_TARGET_SAFE),
        host_header=name if port == default_port else f"{name}:{port}",
        address=address,
    )


def _port(text: str, field: str) -> int:
    if _PORT.fullmatch(text) is None or int(text) > 65535:
        raise Refused.one(field, "has a port that is not 1 to 65535 in plain digits; correct it or leave out the colon")
    return int(text)


def normalise_host(text: str, field: str = "url") -> tuple[str, bytes | None]:
    """A host -> (ASCII lower case without brackets or the last dot, packed address of a literal or None). Raises Refused."""
    if text.startswith("["):
        try:
            literal = IPv6Address(text[1:-1])
        except ValueError:
            raise Refused.one(field, "has an IPv6 address that cannot be read; write it as [2001:db8::1]") from None
        return literal.compressed, literal.packed
    labels = _ascii_labels(text, field)
    host = ".".join(labels)
    if len(host) > HOST_CHARS_MAX:
        raise Refused.one(field, f"has a host of more than {HOST_CHARS_MAX} characters")
    if _NUMERIC_END.fullmatch(labels[-1]) is None:
        return host, None
    # A host that ends in a number is an IPv4 address to every resolver, in forms that readers and filters miss.
    if (
        not text.isascii()
        or len(labels) != 4
        or any(_OCTET.fullmatch(each) is None or int(each) > 255 for each in labels)
    ):
        raise Refused.one(field, "has a numeric host; write an IPv4 address as four decimal numbers, such as 192.0.2.1")
    return host, bytes(int(each) for each in labels)


def _ascii_labels(text: str, field: str) -> list[str]:
    """The labels of a name in lower-case ASCII, IDNA applied once."""
    if len(text) > HOST_CHARS_MAX + 1:
        raise Refused.one(field, f"has a host of more than {HOST_CHARS_MAX} characters")
    if _UNSAFE.search(text) or _IDNA_DEVIATIONS.search(text):
        raise Refused.one(
            field, "has a host with a character that resolvers read differently; write it in punycode (xn--)"
        )
    dotted = _IDNA_DOTS.sub(".", text)
    labels = [_ascii_label(each, field) for each in dotted.removesuffix(".").split(".")]
    for label in labels:
        if not label:
            raise Refused.one(field, "has no host, or two dots in a row; write it as https://example.com/hook")
        if len(label) > LABEL_CHARS_MAX or _LABEL.fullmatch(label) is None:
            raise Refused.one(
                field, "has a host with other characters than letters, digits, hyphens, underscores and dots"
            )
    return labels


def _ascii_label(label: str, field: str) -> str:
    try:
        if not label.isascii():
            return label.encode("idna").decode("ascii").lower()
        lowered = label.lower()
        if lowered.startswith("xn--") and lowered[4:].encode("ascii").decode("punycode").isascii():
            raise ValueError("punycode of an ASCII label")
    except ValueError:  # UnicodeError is one
        raise Refused.one(field, "has a host that is no international name; write it in punycode (xn--)") from None
    return lowered
