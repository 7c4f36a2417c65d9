"""Writes book/_static/landing.svg, the README's picture: the figure of the site's front page as a file of its own.

python tools/picture.py
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "book" / "_static" / "landing.svg"
GAP = 24


def picture() -> str:
    """The front page's panels side by side, with their colours for light and dark."""
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    from mi_site import landing

    panels = re.findall(r"<svg.*?</svg>", landing.figure(), re.DOTALL)
    palette = json.loads((ROOT / "mi_lite" / "palette.json").read_text(encoding="utf-8"))
    colours = {
        theme: "".join(f"--mi-{name}:{value};" for name, value in values.items()) for theme, values in palette.items()
    }
    width = len(panels) * landing.WIDTH + (len(panels) - 1) * GAP
    placed = "".join(
        panel.replace(
            "<svg ", f'<svg x="{i * (landing.WIDTH + GAP)}" width="{landing.WIDTH}" height="{landing.HEIGHT}" '
        )
        for i, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {landing.HEIGHT}" width="{width}">'
        f"<style>svg{{{colours['light']}font:14px Georgia,serif}}"
        f"@media(prefers-color-scheme:dark){{svg{{{colours['dark']}}}}}</style>"
        f'<rect width="100%" height="100%" fill="var(--mi-bg)"/>{placed}</svg>\n'
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))
