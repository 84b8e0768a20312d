"""The `squirrel` command: one file per group of verbs.

Verbs that read or change schedules speak to the REST API through `client/`; `dev` and the service verbs start processes
through `runtime/`. It keeps no rules of its own: what is right or wrong about a schedule is said by the server.
"""

from __future__ import annotations

import sys

from squirrel.cli.app import build_app
from squirrel.model.errors import SquirrelError


def main() -> None:
    """Entry point of the console script. Exit codes: 0 done, 1 it failed (one sentence on stderr), 2 wrong settings or usage."""
    app = build_app()
    try:
        result = app(exit_on_error=True, result_action="return_value")
    except SquirrelError as error:
        sys.stderr.write(f"squirrel: {error}\n")
        sys.exit(2 if type(error).__name__ == "SettingsError" else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(result if isinstance(result, int) else 0)
