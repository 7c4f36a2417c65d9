"""Writes book/_static/landing.svg, the README's picture: the figure of the site's front page as a file of its own.

python tools/picture.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from mi_lite.explorables import OneOrSeveralFigure

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "book" / "_static" / "landing.svg"
WIDTH, HEIGHT, GAP = 320, 190, 24  # of a panel, and between two


def picture() -> str:
    """The front page's first two panels side by side, with their colours for light and dark."""
    panels = re.findall(r"<svg.*?</svg>", OneOrSeveralFigure().still() or "", re.DOTALL)[:2]
    palette = json.loads((ROOT / "mi_lite" / "palette.json").read_text(encoding="utf-8"))
    colours = {
        theme: "".join(f"--mi-{name}:{value};" for name, value in values.items()) for theme, values in palette.items()
    }
    placed = "".join(
        panel.replace("<svg ", f'<svg x="{i * (WIDTH + GAP)}" width="{WIDTH}" height="{HEIGHT}" ')
        for i, panel in enumerate(panels)
    )
    edge, width, height = GAP / 2, 2 * WIDTH + 2 * GAP, HEIGHT + GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-edge:g} {-edge:g} {width} {height}" width="{width}">'
        f"<style>svg{{{colours['light']}font-family:Georgia,serif}}"
        f"@media(prefers-color-scheme:dark){{svg{{{colours['dark']}}}}}</style>"
        f'<rect x="{-edge:g}" y="{-edge:g}" width="{width}" height="{height}" fill="var(--mi-bg)"/>{placed}</svg>\n'
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))
