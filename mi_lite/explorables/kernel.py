"""Plain widgets on a page without a kernel: what stands there in their place."""

from __future__ import annotations

import html
import sys
from typing import Any


class NeedsKernel:
    """Widgets that run Python, and what a page shows where no Python runs: a picture and a sentence."""

    def __init__(self, widget: Any, still: Any, note: str) -> None:
        self.widget, self.still, self.note = widget, still, note

    def __repr__(self) -> str:
        return f"[widgets] {self.note}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        bundle: dict[str, Any] = {"text/plain": repr(self), "application/vnd.jupyter.widget-view+json": view}
        if "google.colab" not in sys.modules:  # Colab prefers HTML to a widget
            bundle["text/html"] = f'<div class="mi-kernel">{self.still.markup}<p>{html.escape(self.note)}</p></div>'
        return bundle


def needs_kernel(widget: Any, still: Any, note: str) -> NeedsKernel:
    """Show widgets that run Python, with a picture and a sentence for a page that has no kernel.

    Make it the last expression of a cell. In JupyterLab, VS Code and Colab the widget itself is shown.

    Args:
        widget: one ipywidgets widget; put several into a ``VBox``.
        still: what `mi_lite.figures.show` made of the widgets' first state.
        note: what the widgets do, and that they do it in a notebook.

    Raises:
        TypeError: if ``widget`` is no widget or ``still`` no shown figure.
        ValueError: if ``note`` says less than a sentence.
    """
    if not hasattr(widget, "model_id"):
        raise TypeError(f"widget must be an ipywidgets widget, got {type(widget).__name__}")
    if not hasattr(still, "markup"):
        raise TypeError(f"still must come from mi_lite.figures.show, got {type(still).__name__}")
    if len(note.split()) < 5:
        raise ValueError(f"note must say in a sentence what the widgets do, got {note!r}")
    return NeedsKernel(widget, still, note)
