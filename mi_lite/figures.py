"""Figures and tables of the book: one palette, one style, an alternative text on everything.

Needs matplotlib; nothing else in mi_lite imports this module.
"""

from __future__ import annotations

import hashlib
import html
import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.figure import Figure

from mi_lite.palette import PALETTE, in_the_dark

_LIGHT = PALETTE["light"]
FG, MUTED, GRID, BACKGROUND = (_LIGHT[name] for name in ("fg", "muted", "grid", "bg"))

#: Interest 1 has the same colour and mark in every chapter: ``COLORS[0]``, ``MARKERS[0]``.
COLORS: tuple[str, ...] = tuple(_LIGHT[str(k)] for k in range(1, 9))
MARKERS: tuple[str, ...] = ("o", "s", "^", "D", "v", "P", "X", "*")


def use_style() -> None:
    """Set matplotlib's defaults to the book's style."""
    matplotlib.rcParams.update(
        {
            "figure.figsize": (5.2, 3.0),
            "figure.dpi": 100,
            "figure.facecolor": "none",
            "savefig.facecolor": "none",
            "axes.facecolor": "none",
            "axes.edgecolor": MUTED,
            "axes.labelcolor": FG,
            "axes.titlecolor": FG,
            "axes.titlesize": 12,
            "axes.titlelocation": "left",
            "axes.labelsize": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.prop_cycle": cycler(color=COLORS),
            "grid.color": GRID,
            "grid.linewidth": 0.8,
            "text.color": FG,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "xtick.labelcolor": FG,
            "ytick.labelcolor": FG,
            "xtick.labelsize": 10,
            "ytick.labelsize": 10,
            "legend.frameon": False,
            "legend.fontsize": 10,
            "lines.linewidth": 2,
            "font.family": "sans-serif",
            "svg.fonttype": "none",
            "svg.hashsalt": "mi_lite",
        }
    )


class Shown:
    """A figure or table as the notebook shows it: HTML for the eye, its description for everything else."""

    def __init__(self, markup: str, description: str) -> None:
        self.markup = markup
        self.description = description

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return self.description


def show(figure: Figure, alt: str, explore: Any = False) -> Shown:
    """Turn a matplotlib figure into inline SVG that follows the page's light or dark theme, and close it.

    Make it the last expression of a cell.

    Args:
        figure: the figure.
        alt: what it shows, for a reader who can't see it: the axes, and the finding.
        explore: True for a button that opens the same figure as a Plotly chart, with values on hover and zoom
            (`mi_lite.explore.chart` says what it takes); or a Plotly figure of your own to open.

    Raises:
        ValueError: if ``alt`` says less than a sentence, or the figure holds what `mi_lite.explore.chart` can't redraw.
        TypeError: if ``explore`` is neither True nor False nor a Plotly figure.
    """
    if len(alt.split()) < 5:
        raise ValueError(f"alt must describe the figure in a sentence, got {alt!r}")
    from mi_lite import explore as explorer  # it builds on this module

    chart = explorer.chart(figure if explore is True else explore) if explore is not False else None
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    markup, description = _themed(buffer.getvalue(), alt), f"[figure] {alt}"
    return Shown(markup, description) if chart is None else explorer.Explored(markup, description, chart)


def hover(artist: Any, texts: Sequence[str]) -> Any:
    """Say what each point of a line or scatter is: the chart behind *explore* shows it on hover. Returns the artist.

    Raises:
        ValueError: if there are not as many texts as points.
    """
    points = artist.get_xdata() if hasattr(artist, "get_xdata") else artist.get_offsets()
    if len(texts) != len(points):
        raise ValueError(f"hover needs one text a point, got {len(texts)} texts for {len(points)} points")
    artist.mi_hover = [str(text) for text in texts]
    return artist


def _themed(svg: str, alt: str) -> str:
    """Matplotlib's SVG, made fit to stand inside a page: no ids that clash, no page-wide style, colours by variable."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", svg, flags=re.S)
    width = re.search(r'width="([\d.]+)pt"', svg)
    points = float(width.group(1)) if width else 460.0
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    for name, color in _LIGHT.items():
        svg = re.sub(color, f"var(--mi-{name}, {color})", svg, flags=re.I)
    svg = re.sub(r" font-family: [^;]*;", "", svg).replace("font: ", "font-size: ")
    svg = re.sub(r' transform="rotate\(-0 [^"]*"', "", svg)
    svg = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number.group()):.2f}", svg)
    svg = re.sub(r"\s*\n\s*", " ", svg)
    own = hashlib.sha256((alt + svg).encode()).hexdigest()[:8]
    used = set(re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", svg))
    for found in {a or b for a, b in used}:
        svg = re.sub(rf'(id="|#){re.escape(found)}(?=["\)])', rf"\g<1>{own}-{found}", svg)
    svg = re.sub(rf' id="(?!{own}-)[^"]*"', "", svg)
    label = html.escape(alt, quote=True)
    style = f"max-width:{points * 4 / 3:.0f}px;stroke-linejoin:round;font-family:sans-serif"
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{label}" style="{style}"', 1)
    # The site has the colours as variables of its own and leaves this style out.
    return f'<figure class="mi-figure"><style>{in_the_dark(".mi-figure")}</style>{svg}</figure>'


def table(rows: Sequence[Sequence[Any]], columns: Sequence[str], caption: str) -> Shown:
    """A result table. Numbers are shown as given: format them as strings, with the digits that mean something.

    Its text form is the caption and the shape only, so that a stored notebook does not depend on the last digit.

    Args:
        rows: one sequence a row, as long as ``columns``; the first cell names the row.
        columns: the headings.
        caption: what was measured, how often, and how the spread is given.

    Raises:
        ValueError: if a row has another length than ``columns``.
    """
    for i, row in enumerate(rows):
        if len(row) != len(columns):
            raise ValueError(f"row {i} has {len(row)} cells, expected {len(columns)} ({', '.join(columns)})")
    head = "".join(f'<th scope="col">{html.escape(str(c))}</th>' for c in columns)
    body = "".join(
        f'<tr><th scope="row">{html.escape(str(row[0]))}</th>'
        + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    markup = (
        f'<div class="mi-table-wrap" tabindex="0" role="region" aria-label="{html.escape(caption, quote=True)}">'
        f'<table class="mi-table"><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    return Shown(markup, f"[table, {len(rows)} rows] {caption}")


def band(axes: Any, x: Sequence[float], runs: Any, label: str, index: int = 0, **options: Any) -> None:
    """Draw the mean of several runs ``(seeds, len(x))`` with a band from the lowest to the highest run.

    The chart behind *explore* says on hover what the runs gave: each of them, or from where to where if they are many.
    """
    low, mean, high = runs.min(0), runs.mean(0), runs.max(0)
    (line,) = axes.plot(x, mean, color=COLORS[index], marker=MARKERS[index], markersize=5, label=label, **options)
    if len(runs) > 6:
        texts = [f"{len(runs)} runs, {a:.3g} to {b:.3g}" for a, b in zip(low, high, strict=True)]
    else:
        texts = ["runs: " + ", ".join(f"{run:.3g}" for run in sorted(column)) for column in runs.T]
    hover(line, texts)
    axes.fill_between(x, low, high, color=COLORS[index], alpha=0.18, linewidth=0)


use_style()
