"""Conditions on answers and parents: JMESPath, read by the jmespath library and walked here, within bounds. Pure.

The grammar is JMESPath's (jmespath.org) without what can build values larger than the document: multi-selects and functions
that take expressions. A walk counts its steps, so an expression costs milliseconds whatever it and the document are. What
JMESPath holds to be false is false here: null, false, and empty text, list and object. Numbers stand in backticks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, cast

from jmespath.exceptions import JMESPathError
from jmespath.parser import Parser
from jmespath.visitor import TreeInterpreter

from squirrel.model.limits import EXPRESSION_CHARS_MAX, EXPRESSION_NODES_MAX, EXPRESSION_STEPS_MAX

_FUNCTIONS: Final = frozenset(
    {
        "abs", "avg", "ceil", "contains", "ends_with", "floor", "keys", "length", "max", "min", "not_null", "sort",
        "starts_with", "sum", "to_number", "to_string", "type", "values",
    }
)  # fmt: skip
_NODES: Final = frozenset(
    {
        "and_expression", "comparator", "current", "field", "filter_projection", "flatten", "function_expression",
        "identity", "index", "index_expression", "literal", "not_expression", "or_expression", "pipe", "projection",
        "slice", "subexpression", "value_projection",
    }
)  # fmt: skip
_FAULTS: Final = (JMESPathError, ValueError, TypeError, OverflowError, RecursionError, KeyError, AttributeError)
Tree = dict[str, Any]


class Unevaluable(ValueError):
    """The expression has no value for this document; the text says why."""


class _Walker(TreeInterpreter):
    """jmespath's interpreter, counting."""

    def __init__(self) -> None:
        super().__init__()
        self._left = EXPRESSION_STEPS_MAX

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise Unevaluable(f"takes more than {EXPRESSION_STEPS_MAX} steps on this document; look at less of it")
        return super().visit(node, *args, **kwargs)


def evaluate(text: str, document: Any) -> Any:
    """The value of an expression that `expression_problem` has let in. Raises Unevaluable."""
    try:
        return _Walker().visit(_tree(text), document)
    except Unevaluable:
        raise
    except _FAULTS as error:
        raise Unevaluable(f"cannot be evaluated: {str(error)[:200]}") from None


def holds(text: str, document: Any) -> bool:
    """Whether the condition is true of the document. Raises Unevaluable."""
    return is_true(evaluate(text, document))


def is_true(value: Any) -> bool:
    """JMESPath's truth: everything but null, false, and empty text, list and object; so 0 is true."""
    return not (value is None or value is False or value in ("", [], {}))


@lru_cache(maxsize=1024)
def _tree(text: str) -> Tree:
    tree: Any = Parser().parse(text).parsed
    return cast(Tree, tree)


def expression_problem(text: Any, roots: Iterable[str]) -> str | None:
    """Why this cannot be a condition over a document with these top-level names, or None."""
    if not isinstance(text, str) or not text.strip():
        return f"must be a JMESPath expression such as parent.status == `200`, is {str(text)[:40]!r}"
    if len(text) > EXPRESSION_CHARS_MAX:
        return f"has {len(text)} characters, the limit is {EXPRESSION_CHARS_MAX}"
    try:
        tree = _tree(text)
    except _FAULTS as error:
        said = " ".join(str(error).split())[:160]
        return f"is no JMESPath expression ({said}); numbers stand in backticks, as in parent.status == `200`"
    for count, node in enumerate(_nodes(tree)):
        if count >= EXPRESSION_NODES_MAX:
            return f"has more than {EXPRESSION_NODES_MAX} parts; split it"
        if node["type"] not in _NODES:
            return f"uses {str(node['type']).replace('_', ' ')}, which conditions do not offer"
        if node["type"] == "function_expression" and node["value"] not in _FUNCTIONS:
            return f"calls {node['value']}(); offered are {', '.join(sorted(_FUNCTIONS))}"
    known = tuple(roots)
    for name in root_names(text):
        if name not in known:
            return f"names {name}, which there is not; known are {', '.join(known)}"
    return None


def root_names(text: str) -> list[str]:
    """The names that the expression looks up in the document itself."""
    return list(dict.fromkeys(path[0] for path in root_paths(text) if path))


def root_paths(text: str) -> list[tuple[str, ...]]:
    """The dotted beginnings, from the document's top, of all that the expression looks at: `("steps", "a", "body")`."""
    return list(_paths(_tree(text)))


def _nodes(tree: Any) -> Iterator[Tree]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(child for child in node.get("children", ()) if isinstance(child, dict))


def _paths(node: Any) -> Iterator[tuple[str, ...]]:
    """Only what is evaluated on the document itself; what follows a projection or a pipe looks at parts of it."""
    kind, children = node["type"], node.get("children", ())
    if kind == "field":
        yield (node["value"],)
    elif kind in ("subexpression", "index_expression", "pipe"):
        first = list(_paths(children[0]))
        if kind == "subexpression" and len(first) == 1 and children[0]["type"] in ("field", "subexpression"):
            rest = [name for child in children[1:] for path in list(_paths(child))[:1] for name in path]
            yield (*first[0], *rest)
        else:
            yield from first
    elif kind in ("projection", "filter_projection", "value_projection", "flatten"):
        yield from _paths(children[0])
    elif kind in ("and_expression", "or_expression", "not_expression", "comparator", "function_expression"):
        for child in children:
            yield from _paths(child)


__all__ = ["Unevaluable", "evaluate", "expression_problem", "holds", "is_true", "root_names", "root_paths"]
