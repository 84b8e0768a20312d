"""The jars of an embedded server: which they are (the lock), where they are kept (the cache), that they are the right ones.

A lock line is `group:artifact:version[:classifier] size sha256`, in class path order. Files come by way of jgo, which knows
Maven's layout; the lock names every jar, so nothing is resolved at run time. They are downloaded aside, verified, then moved into
place, so a cache never holds half a jar; what is in the cache is verified again at every start (45 MB: 20 ms).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from squirrel.model.errors import SquirrelError

DOWNLOADS_AT_ONCE: Final = 8
DOWNLOAD_TRIES_MAX: Final = 3
DOWNLOAD_TIMEOUT_SECONDS: Final = 30  # without a byte
SYSTEM_CERTIFICATES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)
_HERE: Final = Path(__file__).parent

Progress = Callable[[int], None]


class JarsUnavailable(SquirrelError):
    """A jar could not be had: no network, or the repository does not have it."""


class JarRefused(SquirrelError):
    """A jar is not the one in the lock file. It is not run; the message names the file."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked file; `size` in bytes, `sha256` in hex."""

    coordinate: str
    size: int
    sha256: str

    @property
    def file_name(self) -> str:
        _, artifact, version, *classifier = self.coordinate.split(":")
        return "-".join([artifact, version, *classifier]) + ".jar"


def read_lock(name: str) -> tuple[Jar, ...]:
    """The jars of `name` (kafka, cassandra), in class path order."""
    text = (_HERE / f"{name}.jars.lock").read_text(encoding="ascii")
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return tuple(Jar(coordinate, int(size), sha256) for coordinate, size, sha256 in rows)


def cache_dir(environment: Mapping[str, str]) -> Path:
    """Where jars are kept: SQUIRREL_CACHE_DIR, else XDG_CACHE_HOME/squirrel, else ~/.cache/squirrel.

    The system's temporary directory when there is no home, as for a service account or an empty HOME.
    """
    if named := environment.get("SQUIRREL_CACHE_DIR"):
        return Path(named).absolute()
    if (xdg := environment.get("XDG_CACHE_HOME")) and Path(xdg).is_absolute():
        return Path(xdg) / "squirrel"
    home = environment.get("HOME", "")
    if home and Path(home).is_absolute() and os.access(home, os.W_OK):
        return Path(home) / ".cache" / "squirrel"
    return Path(tempfile.gettempdir()) / f"squirrel-cache-{os.getuid()}"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path, jar: Jar) -> None:
    """Raises JarRefused when the file is not the locked one."""
    found = sha256_of(path)
    if found != jar.sha256:
        raise JarRefused(
            f"{path} is not the locked {jar.coordinate}: its SHA-256 is {found}, the lock says {jar.sha256}. "
            "Delete the file and start again; if it comes back, something between here and the repository changes it."
        )


def ensure_jars(name: str, cache: Path) -> tuple[Path, ...]:
    """Every jar of `name`, verified, downloaded when missing; the paths in class path order.

    Raises JarRefused for wrong bytes and JarsUnavailable when a jar cannot be had.
    """
    jars = read_lock(name)
    folder = cache / "jars" / name
    folder.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in jars if not (folder / jar.file_name).exists()]
    if missing:
        _download(name, missing, folder)
    with ThreadPoolExecutor(max_workers=2) as pool:  # hashing releases the interpreter's lock
        list(pool.map(lambda jar: verify(folder / jar.file_name, jar), jars))
    return tuple(folder / jar.file_name for jar in jars)


def _download(name: str, missing: list[Jar], folder: Path) -> None:
    total = sum(jar.size for jar in missing)
    _trust_the_system()
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=folder))
    try:
        bar = _progress(f"downloading {name}, {len(missing)} jars", total)
        with bar as advance, ThreadPoolExecutor(max_workers=DOWNLOADS_AT_ONCE) as pool:
            list(pool.map(lambda jar: _download_one(jar, staging, folder, advance), missing))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _trust_the_system() -> None:
    """Behind a company's proxy only the system's certificates know it; requests, which jgo uses, has its own unless told."""
    if "REQUESTS_CA_BUNDLE" in os.environ or "CURL_CA_BUNDLE" in os.environ:
        return
    for bundle in SYSTEM_CERTIFICATES:
        if Path(bundle).is_file():
            os.environ["REQUESTS_CA_BUNDLE"] = bundle
            return


def _download_one(jar: Jar, staging: Path, folder: Path, advance: Progress) -> None:
    for tries in range(1, DOWNLOAD_TRIES_MAX + 1):
        try:
            path = _fetch(jar, staging / f"{tries}")
        except Exception as error:  # requests, urllib3 and jgo raise a dozen kinds
            if tries == DOWNLOAD_TRIES_MAX:
                raise JarsUnavailable(
                    f"{jar.coordinate} could not be downloaded ({type(error).__name__}: {error}). Check the network, "
                    "or copy the jars into the cache, or use --kafka HOST:PORT."
                ) from error
            continue
        verify(path, jar)
        os.replace(path, folder / jar.file_name)  # noqa: PTH105 - another process may have been quicker: the same bytes
        advance(jar.size)
        return


def _fetch(jar: Jar, repository: Path) -> Path:
    from jgo.maven import MavenContext

    group, artifact, version, *classifier = jar.coordinate.split(":")
    context = MavenContext(repo_cache=repository, timeout=DOWNLOAD_TIMEOUT_SECONDS)
    component = context.project(group, artifact).at_version(version)
    return Path(component.artifact(classifier=classifier[0] if classifier else "").resolve())


def _progress(title: str, total_bytes: int) -> AbstractContextManager[Progress]:
    """A bar on a terminal, one plain line elsewhere."""
    if not sys.stderr.isatty():
        sys.stderr.write(f"{title}, {total_bytes // 1_000_000} MB, once\n")
        sys.stderr.flush()
        return nullcontext(lambda _size: None)
    from squirrel.runtime.local.download_bar import DownloadBar

    return DownloadBar(title, total_bytes)
