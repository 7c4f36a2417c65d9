"""Plain widgets beside a live figure: in a kernel they run Python; on a page a picture and a sentence stand there."""

from __future__ import annotations

import sys
from pathlib import Path

import ipywidgets as widgets
import matplotlib.pyplot as plt
import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from mi_lite.explorables import needs_kernel
from mi_lite.figures import Shown, show

NOTE = "Two sliders stand here in a notebook."
VIEW = "application/vnd.jupyter.widget-view+json"


def picture() -> Shown:
    figure, ax = plt.subplots()
    ax.plot([1, 2])
    return show(figure, alt="A line that rises from left to right.")


def test_it_is_the_widget_for_a_kernel_and_a_picture_for_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    box = widgets.VBox([widgets.IntSlider()])
    shown = needs_kernel(box, picture(), NOTE)
    bundle = shown._repr_mimebundle_()
    assert bundle[VIEW]["model_id"] == box.model_id
    assert bundle["text/plain"] == repr(shown) == f"[widgets] {NOTE}"
    assert "<svg" in bundle["text/html"] and NOTE in bundle["text/html"] and "Slider" not in bundle["text/html"]
    monkeypatch.setitem(sys.modules, "google.colab", object())
    assert set(shown._repr_mimebundle_()) == {"text/plain", VIEW}


def test_what_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="widget must be an ipywidgets widget, got list"):
        needs_kernel([widgets.IntSlider()], picture(), NOTE)
    with pytest.raises(TypeError, match=r"still must come from mi_lite\.figures\.show, got str"):
        needs_kernel(widgets.IntSlider(), "<svg>", NOTE)
    with pytest.raises(ValueError, match="in a sentence what the widgets do, got 'sliders'"):
        needs_kernel(widgets.IntSlider(), picture(), "sliders")


CHECK = """
first = histogram.value
rounds_slider.value = 30
assert "30 rounds" in histogram.value and histogram.value != first
scale_slider.value = 0.5
assert "scale 0.5" in histogram.value
from ipywidgets.widgets.widget import _instances
links = {(w.source[0].description, w.target[1]) for w in _instances.values() if type(w).__name__ == "Link"}
assert links == {("rounds", "iterations"), ("scale", "scale")}, links
for slider, trait in ((rounds_slider, "iterations"), (scale_slider, "scale")):
    rule = bench.rules()[trait]
    assert rule["low"] <= slider.min and slider.max <= rule["high"], trait  # the bench takes it all
print("re-routed")
"""


@pytest.mark.kernel
def test_the_chapter_s_sliders_route_again_in_python(root: Path) -> None:
    """The chapter's own cells, those that the sliders need, in a kernel; then the sliders are moved from Python."""
    chapter = nbformat.read(root / "notebooks" / "03_dynamic_routing.ipynb", as_version=4)
    needed = ("import matplotlib.pyplot", "start = torch.randn(1, 6, 2", "bench = DynamicRoutingFigure()")
    needed += ("def roger(", "rounds_slider = ")
    cells = [cell for cell in chapter.cells if cell.cell_type == "code" and any(text in cell.source for text in needed)]
    assert len(cells) == len(needed)
    from_scratch = "def b2i_routing(behaviors"
    at = next(i for i, cell in enumerate(cells) if "start = torch.randn" in cell.source)
    cells.insert(at, next(cell for cell in chapter.cells if cell.source.startswith(from_scratch)))
    notebook = nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell(CHECK)])
    manager = AsyncKernelManager(kernel_name="python3")
    manager.kernel_spec.argv[0] = sys.executable
    resources = {"metadata": {"path": str(root)}}
    NotebookClient(notebook, km=manager, timeout=120, resources=resources).execute()
    assert notebook.cells[-1].outputs[0].text == "re-routed\n"
    (shown,) = [out for out in notebook.cells[-2].outputs if out.output_type == "execute_result"]
    assert VIEW in shown.data and "<svg" in shown.data["text/html"]
