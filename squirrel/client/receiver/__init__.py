"""For programs that Squirrel calls: who sent this, is it whole, is it fresh; and handlers by event, under any web framework.

`verify` is pure. `Receiver` maps events to handlers and is an ASGI and a WSGI application; `verified` is a FastAPI dependency.
"""

from squirrel.client.receiver.fastapi_dependency import verified
from squirrel.client.receiver.handlers import Later, Receiver, Stop
from squirrel.client.receiver.verifying import TOLERANCE_SECONDS, NotVerified, Received, verify

__all__ = ["TOLERANCE_SECONDS", "Later", "NotVerified", "Received", "Receiver", "Stop", "verified", "verify"]
