"""The book's colours, from the one file that figures, live figures and the site share: ``palette.json``."""

from __future__ import annotations

import json
from pathlib import Path

PALETTE: dict[str, dict[str, str]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))

#: How the dark themes of JupyterLab, VS Code and Colab are told apart from the light ones, in CSS.
DARK_FRONTS = ('[data-jp-theme-light="false"]', ".vscode-dark", 'html[theme="dark"]')


def variables(mode: str) -> str:
    """The colours of a mode, light or dark, as CSS variables: ``--mi-1:#0554b2;…``."""
    return "".join(f"--mi-{name}:{color};" for name, color in PALETTE[mode].items())


def in_the_dark(selector: str, more: str = "") -> str:
    """A CSS rule that gives elements the dark colours wherever a notebook's front is dark; ``more`` goes in too."""
    return f"{','.join(f'{front} {selector}' for front in DARK_FRONTS)}{{{variables('dark')}{more}}}"
