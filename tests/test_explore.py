"""The charts behind stills, without a browser: a Plotly chart holds the numbers that the matplotlib figure shows."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
import pytest

from mi_lite.explore import Explored, _bundle, chart, template
from mi_lite.figures import COLORS, PALETTE, Shown, band, hover, show

ALT = "A line that rises from left to right."


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def traces(figure) -> list[dict]:
    made = chart(figure)
    go.Figure(json.loads(re.sub(r"--mi-\w+", "#000000", json.dumps(made))))  # Plotly itself knows every name in it
    return made["data"]


def test_lines_keep_numbers_color_dash_and_name() -> None:
    figure, ax = plt.subplots()
    ax.plot([1, 2, 3], [0.123456, np.nan, 2], color=COLORS[1], linestyle="--", label="five <b>")
    ax.plot([1, 2], [3, 4])
    one, other = traces(figure)
    assert (one["x"], one["y"]) == ([1, 2, 3], [0.1235, None, 2])
    assert one["line"]["color"] == "--mi-2" and one["line"]["dash"] == "dash" and one["mode"] == "lines"
    assert one["name"] == "five &lt;b&gt;" and one["hovertemplate"].startswith("<b>five &lt;b&gt;</b>")
    assert other["name"] == "" and not other["showlegend"]


def test_a_band_says_what_its_runs_gave() -> None:
    figure, ax = plt.subplots()
    runs = np.array([[0.1, 0.2], [0.3, 0.6]])
    band(ax, [1, 10], runs, "routing", 2)
    band(ax, [1, 10], np.repeat(runs, 4, axis=0), "many")
    lines = [trace for trace in traces(figure) if "text" in trace]
    assert lines[0]["text"] == ["runs: 0.1, 0.3", "runs: 0.2, 0.6"]
    assert lines[1]["text"] == ["8 runs, 0.1 to 0.3", "8 runs, 0.2 to 0.6"]
    fills = [trace for trace in traces(figure) if trace.get("fill") == "toself"]
    assert fills[0]["fillcolor"] == "--mi-3" and fills[0]["opacity"] == 0.18 and fills[0]["hoverinfo"] == "skip"
    assert {min(fills[0]["y"]), max(fills[0]["y"])} == {0.1, 0.6}


def test_points_say_what_hover_was_told() -> None:
    figure, ax = plt.subplots()
    hover(ax.scatter([0, 1], [2, 3], color=COLORS[0]), ["Alien & co", "Chinatown"])
    (made,) = traces(figure)
    assert made["text"] == ["Alien &amp; co", "Chinatown"] and made["mode"] == "markers"
    assert "%{text}" in made["hovertemplate"] and made["marker"]["color"] == "--mi-1"
    with pytest.raises(ValueError, match="one text a point, got 1 texts for 2 points"):
        hover(ax.plot([1, 2], [1, 2])[0], ["one"])


def test_error_bars_and_level_lines() -> None:
    figure, ax = plt.subplots()
    ax.errorbar([1, 2], [5, 6], yerr=[[1, 2], [3, 4]], capsize=3, label="gain")
    ax.axhline(4, label="level")
    ax.axvline(1.5)
    ax.set(xlim=(0, 3), ylim=(0, 10))
    bars, level, upright = traces(figure)  # and no trace for the caps
    assert bars["error_y"]["array"] == [3, 4] and bars["error_y"]["arrayminus"] == [1, 2] and bars["name"] == "gain"
    assert (level["x"], level["y"]) == ([0, 3], [4, 4])
    assert (upright["x"], upright["y"]) == ([1.5, 1.5], [0, 10])


@pytest.mark.parametrize("origin", ["upper", "lower"])
@pytest.mark.parametrize("by", ["imshow", "pcolormesh"])
def test_a_heat_map_keeps_each_number_in_its_cell(by: str, origin: str) -> None:
    figure, ax = plt.subplots()
    values = np.arange(6.0).reshape(2, 3)
    if by == "imshow":
        artist = ax.imshow(values, origin=origin, aspect="auto")
        ax.set_xticks([0, 1, 2], ["a", "b", "c"])
        ax.set_yticks([0, 1], ["u", "v"])
    else:
        artist = ax.pcolormesh([-0.5, 0.5, 1.5, 2.5], [-0.5, 0.5, 1.5], values)
    figure.colorbar(artist, label="logit")
    (made,) = traces(figure)
    rows = [(a + b) / 2 for a, b in zip(made["y"], made["y"][1:], strict=False)]
    columns = [(a + b) / 2 for a, b in zip(made["x"], made["x"][1:], strict=False)]
    assert columns == [0, 1, 2] and rows == [0, 1]
    assert np.array_equal(made["z"], values) and (made["zmin"], made["zmax"]) == (0, 5)
    assert made["colorbar"]["title"]["text"] == "logit" and len(made["colorscale"]) == 9
    layout = chart(figure)["layout"]
    assert (layout["yaxis"]["range"][0] > layout["yaxis"]["range"][1]) == (by == "imshow" and origin == "upper")
    if by == "imshow":
        assert made["text"][1] == ["v, a", "v, b", "v, c"]


def test_axes_keep_scale_limits_ticks_and_place() -> None:
    figure, (left, right) = plt.subplots(1, 2, sharey=True)
    left.plot([1, 100], [0, 1], label="a")
    right.plot([1, 100], [1, 0], label="a")
    left.set(xscale="log", xlim=(1, 100), xticks=[1, 10], xticklabels=["one", "ten"], title="roomy", ylabel="ARI")
    left.set(xlabel="rounds")
    left.legend()
    right.annotate("here", (1, 1), xytext=(50, 0.5), arrowprops=dict(arrowstyle="-"))
    right.invert_xaxis()
    made = chart(figure)
    layout = made["layout"]
    assert layout["xaxis"]["type"] == "log" and layout["xaxis"]["range"] == [0, 2]
    assert layout["xaxis"]["ticktext"] == ["one", "ten"] and layout["xaxis"]["title"]["text"] == "rounds"
    assert layout["xaxis"]["domain"][1] < layout["xaxis2"]["domain"][0]
    assert layout["xaxis2"]["range"][0] > layout["xaxis2"]["range"][1]
    assert layout["yaxis2"]["matches"] == "y" and layout["yaxis2"]["showticklabels"] is False
    assert [trace["showlegend"] for trace in made["data"]] == [True, False] and layout["showlegend"]
    assert "ARI: %{y" in made["data"][1]["hovertemplate"], "a shared axis has a name in each panel"
    arrow, title = sorted(layout["annotations"], key=lambda note: note["text"])
    assert arrow["showarrow"] and (arrow["x"], arrow["y"], arrow["ax"]) == (1, 1, 50)
    assert title["text"] == "roomy" and title["xref"] == "x domain"


def test_what_cannot_be_redrawn_is_refused_by_name() -> None:
    figure, ax = plt.subplots()
    ax.bar([1], [2])
    with pytest.raises(ValueError, match="can't redraw a Rectangle; give it a Plotly figure"):
        show(figure, alt=ALT, explore=True)
    figure, ax = plt.subplots()
    ax.imshow(np.zeros((2, 2, 3)))
    with pytest.raises(ValueError, match="an image of numbers only"):
        chart(figure)
    figure, ax = plt.subplots()
    ax.quiver([0], [0], [1], [1])
    with pytest.raises(ValueError, match="can't redraw a Quiver"):
        chart(figure)
    with pytest.raises(ValueError, match="has no axes"):
        chart(plt.figure())
    figure = plt.figure()
    figure.add_axes((0, 0, 1, 1)).plot([1], [1])
    with pytest.raises(ValueError, match=r"made by plt\.subplots only"):
        chart(figure)


@pytest.mark.parametrize("wrong", [1, None, "yes", {"data": []}, [1]])
def test_explore_that_is_no_figure_is_refused(wrong: object) -> None:
    figure, ax = plt.subplots()
    ax.plot([1, 2])
    with pytest.raises(TypeError, match=f"expected True or a Plotly figure, got {type(wrong).__name__}"):
        show(figure, alt=ALT, explore=wrong)


def test_a_plotly_figure_of_ones_own_gets_the_book_s_look() -> None:
    own = go.Figure(go.Scatter(x=np.arange(3), y=[1, 2, 3], line_color=COLORS[0]), layout_title_text="mine")
    made = chart(own)
    assert made["layout"]["template"] == template() and made["layout"]["title"]["text"] == "mine"
    assert made["data"][0]["line"]["color"] == "--mi-1"
    json.dumps(made, allow_nan=False)


def test_every_color_of_the_template_is_of_the_palette() -> None:
    named = set(re.findall(r"--mi-(\w+)", json.dumps(template())))
    assert named <= set(PALETTE["light"]) and {str(k) for k in range(1, 9)} <= named
    go.layout.Template(json.loads(re.sub(r"--mi-\w+", "#000000", json.dumps(template()))))


def test_show_without_explore_is_the_still_alone_and_with_it_has_both() -> None:
    def drawn(explore: object) -> Shown:
        figure, ax = plt.subplots()
        ax.plot([1, 2], [3, 4])
        return show(figure, alt=ALT, explore=explore)

    plain, explored = drawn(False), drawn(True)
    assert not isinstance(plain, Explored) and isinstance(explored, Explored)
    assert repr(plain) == repr(explored) == f"[figure] {ALT}"
    assert explored.still == plain.markup and explored.still in explored.markup
    assert explored.chart["data"][0]["y"] == [3, 4]
    assert len(json.dumps(explored.chart)) < 10_000


def test_in_a_notebook_it_is_a_widget_that_sends_plotly_when_asked() -> None:
    figure, ax = plt.subplots()
    ax.plot([1, 2], [3, 4])
    data, _ = show(figure, alt=ALT, explore=True)._repr_mimebundle_()
    assert set(data) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    from ipywidgets.widgets.widget import _instances

    widget = _instances[data["application/vnd.jupyter.widget-view+json"]["model_id"]]
    sent: list = []
    widget.send = lambda content, buffers=None: sent.append((content, buffers))
    widget._handle_custom_msg("something else", [])
    assert not sent
    widget._handle_custom_msg("bundle", [])
    ((content, (packed,)),) = sent
    assert content == {"bundle": "gzip"} and b"plotly.js v" in gzip.decompress(packed)[:60]
    widget.close()


def test_colab_gets_the_widget_and_a_kernel_without_anywidget_the_still(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Explored("<figure></figure>", "[figure] x", {"data": [], "layout": {"meta": [1, 1, 0]}})
    monkeypatch.setitem(__import__("sys").modules, "google.colab", object())
    assert "text/html" not in shown._repr_mimebundle_()[0]
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "anywidget" else found(name))
    assert set(shown._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_without_plotly_the_reader_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _bundle.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert _bundle() is None
    from mi_lite.explore import _widget

    widget = _widget()()
    sent: list = []
    widget.send = lambda content, buffers=None: sent.append(content)
    widget._handle_custom_msg("bundle", [])
    assert sent == [{"missing": "Plotly is missing here: pip install plotly"}]
    widget.close()
    _bundle.cache_clear()
