"""`/docs`: the OpenAPI document as a page, with a form for each call; one file, no outside host."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def docs_page() -> bytes:
    """The HTML, as it lies in `pages/`."""
    return (files("squirrel.gateway") / "pages" / "docs.html").read_bytes()
