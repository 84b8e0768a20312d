"""An index of plugins: one JSON file that anyone can host, each entry with the address and the hash of a wheel.

`{"squirrel_plugins": 1, "plugins": [{"name", "version", "title", "description", "package", "url" or "", "sha256"}]}`
A `url` without a scheme is the name of a wheel beside the index, wherever that is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urljoin, urlsplit

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

FORMAT: Final = 1
INDEX_BYTES_MAX: Final = 4 * 1024 * 1024
PLUGINS_MAX: Final = 10_000
SECONDS_MAX: Final = 10.0
_URL: Final = r"^(https://[!-~]+|http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?/[!-~]+|[A-Za-z0-9][A-Za-z0-9._+-]*\.whl)?\Z"


class IndexUnusable(Exception):
    """The index cannot be had or read; the message is for the person who asked."""


class Plugin(Struct, frozen=True, forbid_unknown_fields=True):
    """One plugin: a wheel at `url`, or `package` and `version` of the configured package index, held to `sha256` either way."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}\Z")]
    version: Annotated[str, Meta(pattern=r"^[0-9][0-9A-Za-z.+!-]{0,63}\Z")]
    title: Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
    package: Annotated[str, Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?\Z")]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    description: Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*\Z")] = ""
    url: Annotated[str, Meta(max_length=2048, pattern=_URL)] = ""


class _Index(Struct, frozen=True):
    squirrel_plugins: int
    plugins: Annotated[list[Plugin], Meta(max_length=PLUGINS_MAX)]


def read_index(place: str) -> list[Plugin]:
    """The plugins of a file or an https address, by name. Raises IndexUnusable."""
    try:
        found = msgspec.json.decode(_bytes_of(place), type=_Index)
    except msgspec.MsgspecError as error:
        raise IndexUnusable(f"{place} is no index of plugins: {error}") from None
    if found.squirrel_plugins != FORMAT:
        raise IndexUnusable(f"{place} is of the format {found.squirrel_plugins}; this release reads {FORMAT}")
    return sorted((_placed(each, place) for each in found.plugins), key=lambda each: each.name)


def _placed(plugin: Plugin, index: str) -> Plugin:
    """With the whole address of a wheel that lies beside the index."""
    if not plugin.url or "://" in plugin.url:
        return plugin
    if urlsplit(index).scheme in ("https", "http"):
        return replace(plugin, url=urljoin(index, plugin.url))
    return replace(plugin, url=(Path(index).resolve().parent / plugin.url).as_uri())


def _bytes_of(place: str) -> bytes:
    scheme = urlsplit(place).scheme
    if scheme not in ("https", "http"):
        try:
            return Path(place).read_bytes()[: INDEX_BYTES_MAX + 1]
        except OSError as error:
            raise IndexUnusable(f"{place} cannot be read: {error.strerror}") from None
    host = urlsplit(place).hostname or ""
    if scheme == "http" and host not in ("127.0.0.1", "localhost", "::1"):
        raise IndexUnusable(f"{place} is not https: whoever is on the way could change the hashes")
    import httpx

    try:
        with httpx.stream("GET", place, timeout=SECONDS_MAX, follow_redirects=False) as answer:
            answer.raise_for_status()
            taken = bytearray()
            for part in answer.iter_bytes():
                taken += part
                if len(taken) > INDEX_BYTES_MAX:
                    raise IndexUnusable(f"{place} is larger than {INDEX_BYTES_MAX} bytes")
            return bytes(taken)
    except httpx.HTTPError as error:
        raise IndexUnusable(f"{place} cannot be had: {error}") from None


def requirement_of(plugin: Plugin) -> str:
    """The one line that pip gets. Its patterns let no blank, option or line end through; checked again here."""
    where = f"{plugin.package} @ {plugin.url}" if plugin.url else f"{plugin.package}=={plugin.version}"
    if re.search(r"[\s;]", where.replace(" @ ", "@", 1)) or "#" in where:
        raise IndexUnusable(f"the entry {plugin.name} holds a character that no requirement has")
    return f"{where} --hash=sha256:{plugin.sha256}\n"


def pip_command(python: str) -> list[str]:
    """pip with hashes required and no dependencies beside what is installed: what is not in the index is not fetched."""
    return [
        python,
        "-m",
        "pip",
        "install",
        "--require-hashes",
        "--no-deps",
        "--only-binary",
        ":all:",
        "-r",
        "/dev/stdin",
    ]
