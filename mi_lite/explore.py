"""Charts that answer to hover and zoom: a matplotlib figure once more, as a Plotly chart made from the same numbers.

``show(figure, alt=..., explore=True)`` of `mi_lite.figures` is the way in. The chart is a plain dictionary, as Plotly's
JavaScript takes it; its colours are names of the book's palette, so that it follows the page's theme. Plotly itself
(``pip install plotly``) is asked for by the reader's press of the button, never before.

Needs matplotlib; the button in a notebook needs anywidget, and without it the still picture stands alone.
"""

from __future__ import annotations

import gzip
import html
import importlib.util
import json
import math
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, QuadMesh
from matplotlib.colors import Colormap, to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

from mi_lite.figures import PALETTE, Shown

FOLDER = Path(__file__).parent
TOKENS = {color.lower(): f"--mi-{name}" for name, color in PALETTE["light"].items()}
SYMBOLS = {"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross"} | {
    "X": "x",
    "*": "star",
    ".": "circle",
    "x": "x-thin-open",
    "+": "cross-thin-open",
}
DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
GAP = 0.1  #: between panels, as a share of the width


def template() -> dict[str, Any]:
    """The book's look as a Plotly template, the twin of `mi_lite.figures.use_style`; colours are named, not given."""
    axis = {
        "gridcolor": "--mi-grid",
        "linecolor": "--mi-muted",
        "tickcolor": "--mi-muted",
        "zeroline": False,
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "automargin": True,
        "title": {"standoff": 6, "font": {"size": 13}},
    }
    return {
        "layout": {
            "colorway": [f"--mi-{k}" for k in range(1, 9)],
            "font": {"color": "--mi-fg", "size": 13},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "hovermode": "closest",
            "hoverlabel": {"bgcolor": "--mi-bg", "bordercolor": "--mi-muted", "font": {"color": "--mi-fg"}},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "--mi-muted", "activecolor": "--mi-fg"},
            "legend": {"orientation": "h", "x": 0, "yref": "container", "y": 0, "yanchor": "bottom"},
            "margin": {"l": 8, "r": 12, "t": 34, "b": 8},
            "xaxis": axis,
            "yaxis": axis,
        }
    }


def chart(figure: Any) -> dict[str, Any]:
    """A Plotly chart ``{"data": […], "layout": {…}}`` of a matplotlib or a Plotly figure, in the book's look.

    Of a matplotlib figure it takes panels side by side or in rows, with lines, bands, error bars, scattered points,
    heat maps (``imshow``, ``pcolormesh``), annotations, ticks, scales, limits and legends.

    Raises:
        TypeError: if ``figure`` is neither.
        ValueError: if a matplotlib figure holds something else than these.
    """
    if isinstance(figure, Figure):
        made = _from_matplotlib(figure)
    elif hasattr(figure, "to_plotly_json") and {"data", "layout"} <= set(figure.to_plotly_json()):
        made = json.loads(figure.to_json())
        made["layout"].pop("template", None)
    else:
        raise TypeError(f"expected True or a Plotly figure, got {type(figure).__name__}")
    layout = {**made["layout"], "template": template(), "meta": _shape(made)}
    text = json.dumps({"data": made["data"], "layout": layout}, allow_nan=False)
    for color, token in TOKENS.items():
        text = text.replace(f'"{color}"', f'"{token}"')
    return json.loads(text)


def _shape(made: dict[str, Any]) -> list[int]:
    """Panels, columns and letters of the legend: from these the page keeps the chart's place while it is loading."""
    axes = [axis for key, axis in made["layout"].items() if key.startswith("xaxis")]
    columns = {axis.get("domain", [0])[0] for axis in axes}
    names = [trace.get("name", "") for trace in made["data"] if trace.get("showlegend", len(made["data"]) > 1)]
    legend = sum(len(name) + 7 for name in names) if made["layout"].get("showlegend", True) else 0
    return [max(len(axes), 1), max(len(columns), 1), legend]


def _from_matplotlib(figure: Figure) -> dict[str, Any]:
    panels = [axes for axes in figure.axes if getattr(axes, "_colorbar", None) is None]
    if not panels:
        raise ValueError("the figure has no axes, so there is nothing to explore")
    legend = bool(figure.legends) or any(axes.get_legend() for axes in panels)
    layout: dict[str, Any] = {"annotations": [], "showlegend": legend}
    data: list[dict[str, Any]] = []
    seen: set[str] = set()
    for number, axes in enumerate(panels):
        x, y = (f"{letter}{number + 1 if number else ''}" for letter in "xy")
        for trace in _traces(axes):
            label = trace.pop("label")
            named = bool(label) and not label.startswith("_")
            name = html.escape(label) if named else ""
            trace |= {"xaxis": x, "yaxis": y, "name": name, "showlegend": legend and named and label not in seen}
            if named:
                trace["legendgroup"] = label
                seen.add(label)
            if "hovertemplate" in trace:
                lead = f"<b>{name}</b><br>" if name else ""
                trace["hovertemplate"] = f"{lead}{trace['hovertemplate']}<extra></extra>"
            data.append(trace)
        across, up = _place(axes)
        layout[f"xaxis{x[1:]}"] = _axis(axes, "x") | {"domain": across, "anchor": y}
        layout[f"yaxis{y[1:]}"] = _axis(axes, "y") | {"domain": up, "anchor": x}
        for letter, name in (("x", x), ("y", y)):
            shared = getattr(axes, f"get_shared_{letter}_axes")()
            first = next(i for i, other in enumerate(panels) if other is axes or shared.joined(other, axes))
            if first < number:
                layout[f"{letter}axis{name[1:]}"]["matches"] = f"{letter}{first + 1 if first else ''}"
        layout["annotations"] += [_note(axes, text, x, y) for text in axes.texts if text.get_text()]
        title = axes.get_title(loc="left") or axes.get_title()
        if title:
            place = {"xref": f"{x} domain", "yref": f"{y} domain", "x": 0, "y": 1, "xanchor": "left"}
            layout["annotations"].append({"text": _plain(title), "showarrow": False, "yanchor": "bottom", **place})
    return {"data": data, "layout": layout}


def _place(axes: Axes) -> tuple[list[float], list[float]]:
    """The share of the width and of the height that a panel takes."""
    spec = axes.get_subplotspec()
    if spec is None:
        raise ValueError("explore takes panels made by plt.subplots only; give it a Plotly figure instead")
    spec = spec.get_topmost_subplotspec()
    rows, columns = spec.get_gridspec().get_geometry()
    row, column = spec.rowspan.start, spec.colspan.start
    wide, high = (1 - GAP * (columns - 1)) / columns, (1 - 2 * GAP * (rows - 1)) / rows
    left, top = column * (wide + GAP), 1 - row * (high + 2 * GAP)
    return [_short(left), _short(left + wide)], [_short(max(top - high, 0)), _short(top)]


def _axis(axes: Axes, letter: str) -> dict[str, Any]:
    """Scale, limits, ticks and title of one axis."""
    axis = getattr(axes, f"{letter}axis")
    log = axis.get_scale() == "log"
    limits = [float(v) for v in getattr(axes, f"get_{letter}lim")()]
    made: dict[str, Any] = {
        "type": "log" if log else "linear",
        "range": [_short(math.log10(v) if log else v) for v in limits],
    }
    locator, formatter = axis.get_major_locator(), axis.get_major_formatter()
    if isinstance(locator, FixedLocator):
        made["tickvals"] = _list(locator())
        if isinstance(formatter, (FixedFormatter, FuncFormatter)):
            made["ticktext"] = [_plain(text.get_text()) for text in getattr(axes, f"get_{letter}ticklabels")()]
        else:
            made["ticktext"] = [f"{v:g}" for v in made["tickvals"]]
    elif log:
        made |= {"dtick": 1, "exponentformat": "power"}
    if axis.label.get_text():
        made["title"] = {"text": _plain(axis.label.get_text())}
    shown = axis.get_tick_params().get("labelleft" if letter == "y" else "labelbottom", True)
    return made if shown else {**made, "showticklabels": False}


def _traces(axes: Axes) -> Iterable[dict[str, Any]]:
    """What is drawn in a panel, as Plotly traces, each with its `label`."""
    words = {letter: _word(axes, letter) for letter in "xy"}
    template = f"{words['x']}: %{{x:.4~g}}<br>{words['y']}: %{{y:.4~g}}"
    bars = [held for held in axes.containers if isinstance(held, ErrorbarContainer)]
    of_bars = {id(part) for held in bars for group in held.lines[1:] for part in group}
    errors = {id(held.lines[0]): held for held in bars}
    for collection in axes.collections:
        if id(collection) in of_bars:
            continue
        if isinstance(collection, QuadMesh):
            yield _heat(collection, np.asarray(collection.get_array()), collection.get_coordinates(), axes, template)
        elif type(collection).__name__ in ("PolyCollection", "FillBetweenPolyCollection"):
            corners, face = np.asarray(collection.get_paths()[0].vertices), np.asarray(collection.get_facecolor())[0]
            fill = {"fill": "toself", "fillcolor": _color(face), "opacity": _short(float(face[3]))}
            lines = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
            yield {"type": "scatter", **_xy(corners[:, 0], corners[:, 1]), **fill, **lines, "label": ""}
        elif isinstance(collection, PathCollection):
            points = np.asarray(collection.get_offsets())
            colors = [_color(c) for c in np.asarray(collection.get_facecolor())]
            marker = {"color": colors if len(colors) > 1 else colors[0], "size": 7}
            shown = {"mode": "markers", "marker": marker, **_hover(collection, template)}
            yield {"type": "scatter", **_xy(*points.T), **shown, "label": str(collection.get_label())}
        elif isinstance(collection, LineCollection):
            raise ValueError("explore can't redraw loose line segments; give it a Plotly figure instead")
        else:
            raise ValueError(f"explore can't redraw a {type(collection).__name__}; give it a Plotly figure instead")
    for image in axes.images:
        left, right, bottom, top = image.get_extent()
        values = np.asarray(image.get_array())
        if values.ndim != 2:
            raise ValueError("explore can redraw an image of numbers only, not one of colours")
        columns, rows = np.linspace(left, right, values.shape[1] + 1), np.linspace(bottom, top, values.shape[0] + 1)
        grid = np.stack(np.meshgrid(columns, rows if image.origin == "lower" else rows[::-1]), axis=-1)
        yield _heat(image, values, grid, axes, template)
    for line in axes.get_lines():
        if id(line) not in of_bars:
            yield _line(line, axes, errors.get(id(line)), template)
    if axes.patches:
        kind = type(axes.patches[0]).__name__
        raise ValueError(f"explore can't redraw a {kind}; give it a Plotly figure instead")


def _word(axes: Axes, letter: str) -> str:
    """What an axis measures: its label, that of the panel it shares the axis with, or the panel's title."""
    shared = getattr(axes, f"get_shared_{letter}_axes")().get_siblings(axes)
    labels = [getattr(panel, f"get_{letter}label")() for panel in (axes, *shared)]
    titles = [axes.get_title(loc="left") or axes.get_title()] if letter == "y" else []
    return _plain(next((word for word in (*labels, *titles) if word), letter))


def _line(line: Line2D, axes: Axes, error: ErrorbarContainer | None, template: str) -> dict[str, Any]:
    """A line, a row of marks or both; with its error bars, if it has some."""
    x, y = (np.asarray(values, dtype=float) for values in (line.get_xdata(), line.get_ydata()))
    if line.get_transform() == axes.get_yaxis_transform(which="grid"):  # axhline: from side to side
        x = np.asarray(axes.get_xlim())
    elif line.get_transform() == axes.get_xaxis_transform(which="grid"):
        y = np.asarray(axes.get_ylim())
    style, symbol = line.get_linestyle(), SYMBOLS.get(str(line.get_marker()))
    color = _color(line.get_color())
    made = {"type": "scatter", **_xy(x, y), "label": str((error or line).get_label())}
    if style != "None":
        dash = DASHES.get(str(style), "dash") if line.get_linestyle() in DASHES else "dash"
        made["line"] = {"color": color, "width": _short(line.get_linewidth()), "dash": dash}
    every = line.get_markevery() is not None
    if symbol and not every:
        size = line.get_markersize() / 2 if line.get_marker() == "." else line.get_markersize()
        made["marker"] = {"color": color, "symbol": symbol, "size": _short(1.3 * size), "line": {"color": color}}
        if "open" in symbol:
            made["marker"]["line"]["width"] = 1.5
    made["mode"] = "+".join(kind for kind, key in (("lines", "line"), ("markers", "marker")) if key in made) or "none"
    if error is not None and error.has_yerr:
        ends = np.array([[segment[0][1], segment[-1][1]] for segment in error.lines[2][-1].get_segments()])
        bar = {"type": "data", "symmetric": False, "color": color, "thickness": 1.3, "width": 3}
        made["error_y"] = {**bar, "array": _list(ends[:, 1] - y), "arrayminus": _list(y - ends[:, 0])}
    return made | _hover(line, template)


def _heat(artist: AxesImage | QuadMesh, z: np.ndarray, grid: Any, axes: Axes, template: str) -> dict[str, Any]:
    """A heat map: numbers (rows, columns) and the corners of their cells (rows + 1, columns + 1, 2)."""
    grid, low_high = np.asarray(grid, dtype=float), artist.get_clim()
    cmap = artist.get_cmap()
    bar = getattr(artist, "colorbar", None)
    made = {
        "type": "heatmap",
        "z": [_list(row) for row in z.reshape(grid.shape[0] - 1, grid.shape[1] - 1)],
        "x": _list(grid[0, :, 0]),
        "y": _list(grid[:, 0, 1]),
        "zmin": _short(float(low_high[0] or 0)),
        "zmax": _short(float(low_high[1] or 0)),
        "colorscale": _scale(cmap),
        "showscale": bar is not None,
        "label": "",
    }
    if bar is not None:
        title = _plain(bar.ax.get_ylabel() or bar.ax.get_xlabel())
        made["colorbar"] = {"title": {"text": title, "side": "right"}, "thickness": 12, "outlinewidth": 0}
    names = []
    for letter, edges in (("y", grid[:, 0, 1]), ("x", grid[0, :, 0])):
        axis = _axis(axes, letter)
        labels = dict(zip(axis.get("tickvals", []), axis.get("ticktext", []), strict=True))
        names.append([labels.get(_short(center)) for center in (edges[1:] + edges[:-1]) / 2])
    if all(all(words) for words in names):
        made["text"] = [[f"{row}, {column}" for column in names[1]] for row in names[0]]
        return made | {"hovertemplate": "%{text}<br>%{z:.4~g}"}
    return made | {"hovertemplate": template + "<br>%{z:.4~g}"}


def _hover(artist: Any, template: str) -> dict[str, Any]:
    """What a trace says of its points: their coordinates, and then what `mi_lite.figures.hover` was told."""
    texts = getattr(artist, "mi_hover", None)
    if texts is None:
        return {"hovertemplate": template}
    return {"text": [html.escape(text) for text in texts], "hovertemplate": f"{template}<br>%{{text}}"}


def _note(axes: Axes, text: Text, x: str, y: str) -> dict[str, Any]:
    """A text within a panel, with its arrow if it has one."""
    logs = [getattr(axes, f"get_{letter}scale")() == "log" for letter in "xy"]

    def at(point: Any) -> list[float]:
        return [_short(math.log10(v) if log else float(v)) for v, log in zip(point, logs, strict=True)]

    made = {"text": _plain(text.get_text()), "xref": x, "yref": y, "showarrow": False, "font": {"size": 12}}
    words_at = at(text.get_position())
    if isinstance(text, Annotation) and text.arrow_patch is not None:
        tip = at(text.xy)
        arrow = {"showarrow": True, "arrowhead": 0, "arrowwidth": 1, "arrowcolor": "--mi-muted"}
        return {**made, **arrow, "x": tip[0], "y": tip[1], "axref": x, "ayref": y, "ax": words_at[0], "ay": words_at[1]}
    side = {"left": "left", "right": "right"}.get(text.get_horizontalalignment(), "center")
    return {**made, "x": words_at[0], "y": words_at[1], "xanchor": side, "yanchor": "bottom"}


def _scale(cmap: Colormap) -> list[list[Any]]:
    return [[_short(v), to_hex(cmap(v))] for v in np.linspace(0, 1, 9)]


def _color(color: Any) -> str:
    return TOKENS.get(to_hex(color).lower(), to_hex(color))


def _plain(text: str) -> str:
    return html.escape(text.replace("$", "").replace("\n", " "))


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _list(values: Any) -> list[float | None]:
    """Numbers with four digits; what is not finite is left out of a chart."""
    return [_short(float(v)) if np.isfinite(v) else None for v in np.asarray(values, dtype=float)]


def _xy(x: Any, y: Any) -> dict[str, Any]:
    return {"x": _list(x), "y": _list(y)}


@lru_cache(maxsize=1)
def _bundle() -> bytes | None:
    """Plotly's JavaScript out of the installed `plotly` package, compressed by gzip; None where that is missing."""
    found = importlib.util.find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(found.submodule_search_locations[0], "package_data", "plotly.min.js")
    return gzip.compress(path.read_bytes(), 6) if path.exists() else None


class Explored(Shown):
    """A still picture with a chart behind a button.

    The page takes the HTML and adds the button itself; a notebook with a kernel takes the widget, where anywidget is
    there; what knows neither takes the text.
    """

    def __init__(self, markup: str, description: str, chart: dict[str, Any]) -> None:
        self.still, self.chart = markup, chart
        quoted = html.escape(json.dumps(chart, separators=(",", ":"), ensure_ascii=False), quote=True)
        shape = ",".join(map(str, chart["layout"]["meta"]))
        opening = f'<div class="mi-explore" data-shape="{shape}" data-explore="{quoted}">'
        super().__init__(f"{opening}{markup}</div>", description)

    def _repr_mimebundle_(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Any:
        texts = {"text/plain": self.description, "text/html": self.markup}
        if importlib.util.find_spec("anywidget") is None:
            return texts
        found = _widget()(_still=self.still, _chart=self.chart)._repr_mimebundle_()
        data, metadata = found if isinstance(found, tuple) else (found or {}, {})
        if "google.colab" in sys.modules:  # Colab prefers HTML to a widget
            texts.pop("text/html")
        return {**data, **texts}, metadata


@lru_cache(maxsize=1)
def _widget() -> Any:
    """The class of the widget in a notebook; made when first needed, since only notebooks have anywidget."""
    import anywidget
    import traitlets

    from mi_lite.explorables.base import style_text

    class ExploreButton(anywidget.AnyWidget):
        """The still, its button, and Plotly's JavaScript sent when the button is pressed: no other host is asked."""

        _esm = (FOLDER / "explore.js").read_text(encoding="utf-8")
        _css = style_text() + (FOLDER / "explore.css").read_text(encoding="utf-8")
        _still = traitlets.Unicode().tag(sync=True)
        _chart = traitlets.Dict().tag(sync=True)

        def __init__(self, **state: Any) -> None:
            super().__init__(**state)
            self.on_msg(self._answer)

        def _answer(self, _: Any, content: Any, buffers: Any) -> None:
            if content != "bundle":
                return
            found = _bundle()
            if found is None:
                self.send({"missing": "Plotly is missing here: pip install plotly"})
            else:
                self.send({"bundle": "gzip"}, buffers=[found])

    return ExploreButton
