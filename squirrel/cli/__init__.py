"""The `squirrel` command: one file per group of verbs.

Verbs that read or change schedules speak to the REST API through `client/`; `dev` and the service verbs start processes
through `runtime/`. It keeps no rules of its own: what is right or wrong about a schedule is said by the server.
"""

from __future__ import annotations

import sys

from squirrel.cli.app import build_app
from squirrel.cli.reach import flags_last
from squirrel.model.errors import SettingsError, SquirrelError


def main() -> None:
    """Entry point of the console script. What failed is one sentence on stderr.

    Exit codes: 0 done; 1 it failed; 2 wrong usage, settings or content; 3 not found; 4 conflict or too late; 5 no answer.
    """
    app = build_app()
    try:
        result = app(flags_last(sys.argv[1:]), exit_on_error=True, result_action="return_value")
    except SquirrelError as error:
        sys.stderr.write(f"squirrel: {error}\n")
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `squirrel list | head` has what it wanted
        sys.stderr.close()
        sys.exit(0)
    sys.exit(result if isinstance(result, int) else 0)


def exit_code(error: SquirrelError) -> int:
    """What scripts tell failures apart by."""
    if isinstance(error, SettingsError):
        return 2
    if "squirrel.client" not in sys.modules:
        return 1
    from squirrel.client import Conflict, Invalid, NotFound, Unavailable

    codes = {Invalid: 2, NotFound: 3, Conflict: 4, Unavailable: 5}
    return next((code for kind, code in codes.items() if isinstance(error, kind)), 1)
