"""One measured figure: a line of JSON on stdout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DIGITS = 4  # significant; a run repeats to about two


@dataclass(frozen=True, slots=True)
class Figure:
    """`ceiling` is what the bare parts reach in the same run (None: there is no such thing); `details` says what was counted."""

    metric: str
    value: float
    unit: str
    ceiling: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As printed: metric, value, unit, ceiling, ratio, then the details."""
        ratio = self.value / self.ceiling if self.ceiling else None
        return {
            "metric": self.metric,
            "value": rounded(self.value),
            "unit": self.unit,
            "ceiling": rounded(self.ceiling),
            "ratio": rounded(ratio),
            **{name: rounded(value) for name, value in self.details.items()},
        }


def line_of(figure: Figure | Mapping[str, Any]) -> str:
    """The line for stdout."""
    return json.dumps(figure.document() if isinstance(figure, Figure) else dict(figure))


def rounded(value: Any) -> Any:
    """Floats to the digits that mean something, large ones to whole numbers; everything else as it is."""
    if not isinstance(value, float):
        return value
    return round(value) if abs(value) >= 10**DIGITS else float(f"{value:.{DIGITS}g}")


def percentile(ascending: Sequence[float], part: float) -> float:
    """The nearest-rank percentile of sorted values, `part` from 0 to 1."""
    return ascending[min(len(ascending) - 1, int(len(ascending) * part))]
