"""What a check answers."""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """The answer of a check. True in a condition only when the answer is right.

    ``verdict`` is ``"right"``, ``"wrong"``, ``"open"`` (not attempted yet) or ``"yours to judge"``; ``named`` says
    whether what went wrong was recognised, not only that values differ.
    """

    name: str
    verdict: str
    message: str
    details: tuple[str, ...] = ()
    named: bool = False

    def __bool__(self) -> bool:
        return self.verdict == "right"

    @property
    def _head(self) -> str:
        return {"right": "Right", "wrong": "Not yet", "open": "Not attempted yet"}.get(self.verdict, "Yours to judge")

    def __repr__(self) -> str:
        lines = textwrap.wrap(f"{self.name}: {self._head}. {self.message}", 88, subsequent_indent="  ")
        for detail in self.details:
            lines += textwrap.wrap(f"- {detail}", 88, initial_indent="  ", subsequent_indent="    ")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        details = "".join(f"<li>{html.escape(detail)}</li>" for detail in self.details)
        return (
            f'<div class="mi-report" data-verdict="{self.verdict}"><p><code>{self.name}</code> <b>{self._head}.</b> '
            f"{html.escape(self.message)}</p>{f'<ul>{details}</ul>' if details else ''}</div>"
        )
