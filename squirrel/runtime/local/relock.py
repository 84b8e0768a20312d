"""Writes the `*.jars.lock` files anew: `python -m squirrel.runtime.local.relock`, a developer's tool.

jgo resolves the roots' run-time dependencies; every jar is downloaded and hashed. The difference is reviewed like code.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from squirrel.runtime.local.jars import sha256_of

# log4j-slf4j-impl is in Kafka's distribution, not among its dependencies: without it Kafka logs nothing.
ROOTS: Final = {
    "kafka": ("org.apache.kafka:kafka_2.13:4.3.0", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"),
    "cassandra": ("org.apache.cassandra:cassandra-all:5.0.9",),
}
OTHER_SYSTEMS: Final = ("osx", "windows", "riscv64")


def resolve(root: str, repository: Path) -> list[tuple[str, Path]]:
    """(coordinate, downloaded file) of `root` and everything it needs at run time on Linux."""
    from jgo.maven import MavenContext
    from jgo.parse import Coordinate

    context = MavenContext(repo_cache=repository)
    wanted = context.create_dependency(replace(Coordinate.parse(root), scope="compile"))
    inputs, transitive = context.resolver.resolve([wanted])
    found = []
    for dependency in [*inputs, *(each for each in transitive if each.scope in ("compile", "runtime"))]:
        artifact = dependency.artifact
        if any(system in artifact.classifier for system in OTHER_SYSTEMS):
            continue
        parts = [artifact.groupId, artifact.artifactId, artifact.version, artifact.classifier]
        found.append((":".join(part for part in parts if part), Path(artifact.resolve())))
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as repository:
        for name, roots in ROOTS.items():
            jars = {coordinate: path for root in roots for coordinate, path in resolve(root, Path(repository))}
            artifacts = [coordinate.split(":", 2)[1] + coordinate.partition(":")[0] for coordinate in jars]
            lines = [f"# {' '.join(roots)}: {len(set(artifacts))} artifacts, {len(jars)} jars"]
            lines += [f"{coordinate} {path.stat().st_size} {sha256_of(path)}" for coordinate, path in jars.items()]
            (Path(__file__).parent / f"{name}.jars.lock").write_text("\n".join(lines) + "\n", encoding="ascii")
            sys.stdout.write(lines[0] + "\n")


if __name__ == "__main__":
    main()
