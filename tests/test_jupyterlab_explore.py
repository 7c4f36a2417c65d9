"""In a running JupyterLab: a chart behind its still with Plotly from the kernel, and sliders that route in Python."""

# ruff: noqa: F811 (fixtures are arguments of the same name)

from __future__ import annotations

import pytest
from playwright.sync_api import Browser
from test_browser import browser  # noqa: F401 (fixture)
from test_jupyterlab import Notebook, Server, server  # noqa: F401 (fixture)

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

CHARTS = """
import matplotlib.pyplot as plt
from mi_lite.figures import show
def drawn():
    figure, ax = plt.subplots()
    ax.plot([1, 2, 3], [2, 4, 3], label="routing")
    ax.legend()
    return show(figure, alt="A line that rises and then falls.", explore=True)
"""
SLIDERS = """
import ipywidgets as widgets
from mi_lite.explorables import DynamicRoutingFigure, needs_kernel
bench, slider, words = DynamicRoutingFigure(), widgets.IntSlider(3, 1, 30), widgets.HTML("not moved")
def answer(change):
    words.value = f"Python heard {change.new}"
slider.observe(answer, "value")
widgets.jslink((slider, "value"), (bench, "iterations"))
needs_kernel(widgets.VBox([slider, words, bench]), drawn(), "One slider stands here in a notebook.")
"""


def test_charts_and_linked_sliders(browser: Browser, server: Server) -> None:
    lab = Notebook(browser, server, "explore.ipynb", [CHARTS, "drawn()", "drawn()", SLIDERS])
    page = lab.page
    buttons = page.locator(".mi-explore-button")
    buttons.nth(1).wait_for()
    for number in (0, 1):  # the second press asks the kernel for nothing more
        buttons.nth(number).click()
        chart = page.locator(".mi-explore-chart").nth(number)
        chart.locator(".main-svg").first.wait_for()
        assert chart.evaluate("plot => plot._fullData[0].y.join()") == "2,4,3"
    assert page.evaluate("globalThis.miPlotly.then((plotly) => typeof plotly.react)") == "function"
    page.locator(".mi-explore-chart").first.focus()
    page.keyboard.press("ArrowRight")
    page.locator(".mi-explore [role=status]", has_text="routing, x: 1, y: 2").first.wait_for(state="attached")
    page.keyboard.press("Escape")
    assert page.locator(".mi-explore-chart").count() == 1

    words = page.locator(".widget-html", has_text="not moved")
    words.wait_for()
    page.locator(".widget-slider .noUi-handle").first.press("ArrowRight")
    page.locator(".widget-html", has_text="Python heard 4").wait_for()
    assert lab.value("bench.iterations") == 4  # by jslink, in the browser
    lab.execute("bench.iterations = 9")
    page.locator(".widget-html", has_text="Python heard 9").wait_for()
    assert lab.value("slider.value") == 9
    lab.context.close()
    assert not lab.visit.foreign, lab.visit.foreign
