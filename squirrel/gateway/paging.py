"""The parameters that every list has."""

from __future__ import annotations

from typing import Any, Final

from squirrel.gateway.cursors import CURSOR
from squirrel.gateway.schemas import whole
from squirrel.model.limits import PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX

PAGE: Final[dict[str, dict[str, Any]]] = {
    "limit": whole(1, PAGE_ITEMS_MAX, default=PAGE_ITEMS_DEFAULT),
    "cursor": {"type": "string", "description": "`next_cursor` of the page before", "pattern": CURSOR},
}
