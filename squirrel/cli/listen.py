"""`squirrel listen`: a throw-away target on this machine that shows what arrives."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from squirrel.cli.printing import cell, painted
from squirrel.model.clock import Clock
from squirrel.model.errors import SettingsError

BODY_BYTES_MAX: Final = 1024 * 1024
SHOWN_CHARS_MAX: Final = 2000  # of a body, in the table output


def register(app: App) -> None:
    """Add the verb."""
    app.command(listen)


def listen(
    *,
    port: Annotated[int, Parameter(help="0 for a free one")] = 0,
    secret: Annotated[
        tuple[str, ...], Parameter(negative=(), help="whsec_...: signatures are checked; may be repeated")
    ] = (),
    forward_status: Annotated[int, Parameter(help="the status every call is answered with")] = 200,
    count: Annotated[int, Parameter(help="end after so many calls; 0 for never")] = 0,
    output: Annotated[
        Literal["table", "json"], Parameter(name=["--output", "-o"], help="json: one object a line")
    ] = "table",
) -> int:
    """Receive webhooks on 127.0.0.1 and show them: who, what, which attempt, how late, and whether the signature holds.

    Try anything with it: squirrel schedule hello --in 2s --url URL. Ends with Ctrl-C or after --count calls.
    """
    from squirrel.client.receiver import verify  # noqa: F401 - so that a call's time is not spent on the first import
    from squirrel.runtime.clock import SystemClock

    if not 200 <= forward_status <= 599:
        raise SettingsError("--forward-status must be 200 to 599")
    target = _Target(port, secret, forward_status, count, output, SystemClock())
    if output == "json":
        print(json.dumps({"url": target.url}), flush=True)
    else:
        print(f"listening on {target.url}", flush=True)
    try:
        target.serve_forever()
    except KeyboardInterrupt:
        return 0
    finally:
        target.server_close()
    return 0


def described(headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], now_ms: int) -> dict[str, Any]:
    """One call as it is shown. `signature`: verified, none (not signed), unchecked (no --secret), or why it does not hold."""
    from squirrel.client.receiver import NotVerified, verify
    from squirrel.client.receiver.verifying import received
    from squirrel.model.instants import InstantError, parse_instant

    call = received({name.lower(): value for name, value in headers.items()}, body)
    signature = "unchecked" if any(name.lower() == "webhook-signature" for name in headers) else "none"
    if secrets:
        try:
            verify(headers, body, secrets, now_ms / 1000)
            signature = "verified"
        except NotVerified as error:
            signature = str(error)
    try:
        late_ms = now_ms - parse_instant(call.scheduled_for)
    except InstantError:
        late_ms = None
    try:
        message: Any = json.loads(body) if body else None
    except ValueError:
        message = body.decode("utf-8", "replace")
    return {
        "run": call.id, "schedule_id": call.schedule_id, "event": call.event, "attempt": call.attempt,
        "scheduled_for": call.scheduled_for, "late_ms": late_ms, "signature": signature, "message": message,
    }  # fmt: skip


class _Target(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, secrets: tuple[str, ...], status: int, count: int, output: str, clock: Clock) -> None:
        try:
            super().__init__(("127.0.0.1", port), _Call)
        except OSError as error:
            raise SettingsError(
                f"port {port} cannot be opened ({error.strerror}); say another --port, or 0 for a free one"
            ) from error
        self.secrets, self.status, self.output, self.clock = secrets, status, output, clock
        self._left = count
        self._turn = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def arrived(self, headers: Mapping[str, str], body: bytes) -> None:
        """Shows one call, the way the others were shown; ends the server after the last."""
        call = described(headers, body, self.secrets, self.clock.now_ms())
        with self._turn:
            self._show(call)
            sys.stdout.flush()
            self._left -= 1
            if self._left == 0:
                Thread(target=self.shutdown, daemon=True).start()

    def _show(self, call: dict[str, Any]) -> None:
        if self.output == "json":
            print(json.dumps(call, ensure_ascii=False))
            return
        is_good = call["signature"] in ("verified", "unchecked", "none")
        mark = painted("✓", "green") if is_good else painted("✗", "red")
        late = "" if call["late_ms"] is None else f"  {call['late_ms']} ms after its time"
        print(f"{mark} {cell(call['event'])}  attempt {call['attempt']}{late}  signature: {cell(call['signature'])}")
        print(painted(f"  run {cell(call['run'])}  schedule {cell(call['schedule_id'])}", "dim"))
        print(f"  {cell(call['message'])[:SHOWN_CHARS_MAX]}")


class _Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: _Target

    def handle_any(self) -> None:
        length = self.headers.get("content-length", "0")
        size = int(length) if length.isascii() and length.isdigit() else 0
        if size > BODY_BYTES_MAX:
            self.send_error(413)
            return
        body = self.rfile.read(size)
        self.server.arrived(dict(self.headers.items()), body)
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_PUT = do_PATCH = do_GET = do_DELETE = do_HEAD = handle_any  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Calls are shown by the target, not logged."""
