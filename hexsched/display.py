"""How results show themselves: a line or a few as text, a table in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from hexsched.printable import printable

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 4  # significant
MOST_ROWS = 10  # of a table of many; the rest is counted

T = TypeVar("T")


@dataclass(frozen=True)
class Summary:
    """What is shown of a result.

    Attributes
    ----------
    title : str
        Whose or what it is, such as the policy of a run.
    facts : mapping of str to object
        By name; None is left out.
    rows : sequence of mappings
        The first rows of its table, alike in their keys; empty where it has none.
    total : int
        How many rows there are.
    text : bool
        Whether the rows are part of the text too, or of the table in a notebook only.
    """

    title: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    rows: Sequence[Mapping[str, object]] = ()
    total: int = 0
    text: bool = False


def displayed(cls: type[T]) -> type[T]:
    """Decorator: a class whose ``_summary()`` is its ``repr`` and what a notebook shows; equality is unchanged."""

    def __repr__(self: Any) -> str:  # noqa: N807
        return as_text(cls.__name__, self._summary())

    def __rich_repr__(self: Any) -> Iterator[Any]:  # noqa: N807
        summary = self._summary()
        if summary.title:
            yield summary.title
        yield from ((name, value) for name, value in summary.facts.items() if value is not None)

    def _repr_html_(self: Any) -> str:
        return as_html(cls.__name__, self._summary())

    for method in (__repr__, __rich_repr__, _repr_html_):
        setattr(cls, method.__name__, method)
    return cls


def as_text(kind: str, summary: Summary) -> str:
    """``<Kind title: name value, name value>``, and the rows below it where they are part of the text."""
    facts = [f"{name} {shown(value)}" for name, value in summary.facts.items() if value is not None]
    words = printable(" ".join(filter(None, (kind, summary.title))))
    line = f"<{words}{': ' if facts else ''}{', '.join(facts)}>"
    if not (summary.text and summary.rows):
        return line
    table = _frame(summary.rows).to_string(index=False)
    return "\n".join([line, table, *_rest(summary)])


def as_html(kind: str, summary: Summary) -> str:
    """The same as HTML, every text escaped."""
    import pandas as pd

    head = f"<b>{html.escape(kind)}</b> {html.escape(summary.title)}"
    facts = [(name, shown(value)) for name, value in summary.facts.items() if value is not None]
    parts = [head]
    with pd.option_context("display.max_colwidth", None):
        if facts and not summary.rows:
            parts.append(pd.DataFrame(facts).to_html(index=False, header=False, border=0))
        elif facts:  # above a table, a line
            parts.append(f"<div>{html.escape(', '.join(f'{name} {value}' for name, value in facts))}</div>")
        if summary.rows:
            parts.append(_frame(summary.rows).to_html(index=False, border=0))
    parts += [f"<small>{html.escape(line)}</small>" for line in _rest(summary)]
    return f"<div>{''.join(parts)}</div>"


def shown(value: object) -> str:
    """A value as people read it: numbers rounded, thousands apart."""
    if value is None or value != value:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.{DIGITS}g}" if abs(value) < 10**DIGITS else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return printable(str(value))


def _frame(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([{name: shown(value) for name, value in row.items()} for row in rows])


def _rest(summary: Summary) -> list[str]:
    more = summary.total - len(summary.rows)
    return [f"... and {more:,} more"] if summary.rows and more > 0 else []
