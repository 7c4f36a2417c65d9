"""The picture that a shared link shows: 1200 × 630, drawn for each page while the site's address is set."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from .math import chapter_of
from .urls import short

SIZE = (1200, 630)
FOLDER = "_static/cards"


def name_of(pagename: str) -> str:
    return short(pagename).replace("/", "-") + ".png"


def draw(path: Path, colours: dict[str, str], book: str, above: str, title: str) -> None:
    """A page's title over two arrows from one point, in the book's colours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE[0] / 100, SIZE[1] / 100), dpi=100, facecolor=colours["bg"])
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, SIZE[0]), ylim=(0, SIZE[1]))
    axes.axis("off")
    words = {"family": "STIXGeneral", "va": "top"}
    lines = textwrap.wrap(title, 22 if len(title) > 44 else 19)[:4]
    size = 66 if len(lines) < 4 else 54
    axes.text(80, 550, above, color=colours["muted"], fontsize=27, style="italic", **words)
    axes.text(78, 490, "\n".join(lines), color=colours["fg"], fontsize=size, linespacing=1.08, **words)
    axes.text(80, 96, book, color=colours["muted"], fontsize=25, style="italic", **words)
    for turn, colour in ((-165, colours["1"]), (165, colours["2"])):
        axes.annotate(
            "",
            xy=(960 + turn, 430),
            xytext=(960, 130),
            arrowprops={"arrowstyle": "-|>,head_width=.55,head_length=.9", "color": colour, "lw": 7, "shrinkA": 0},
        )
        spots = ((-30, 22), (26, 34), (-4, 62), (44, -14), (-62, -22))
        axes.scatter([960 + turn + x for x, _ in spots], [440 + y for _, y in spots], s=190, color=colour, lw=0)
    figure.savefig(path, format="png", pil_kwargs={"optimize": True}, metadata={"Software": None})


def draw_all(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.format != "html" or not app.config.mi_site_url:
        return
    palette = Path(app.srcdir, "mi_lite", "palette.json").read_text(encoding="utf-8")
    folder = Path(app.outdir, FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    book, titles = app.config.html_title, app.env.titles
    for page in sorted(app.env.found_docs):
        front, chapter = page == app.config.root_doc, chapter_of(page)
        above = "Multi-interest recommendation from scratch" if front else f"Chapter {chapter}" if chapter else ""
        title = titles[page].astext()
        draw(folder / name_of(page), json.loads(palette)["light"], "" if front else book, above, title)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", draw_all, priority=960)  # after what no page asks for was removed
    return {}
