"""`python -m tests.judge DIR`: judges a saved run again. Exit code 1 when a promise was broken."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.judge.verdict import judge


def main() -> int:
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "ledger.jsonl").exists():
        sys.stderr.write(
            "usage: python -m tests.judge DIR, with DIR/ledger.jsonl in it; tests/judge/__init__.py has the format\n"
        )
        return 2
    verdict = judge(Path(sys.argv[1]))
    sys.stdout.write(verdict.report() + "\n")
    return 1 if verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
