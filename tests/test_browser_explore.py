"""The charts behind stills on the built site: asked for by a press, read by mouse, touch and keys, closed again."""

# ruff: noqa: F811 (fixtures are arguments of the same name)

from __future__ import annotations

import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Route
from test_browser import SITE, Visit, base, browser  # noqa: F401 (fixtures)

from mi_lite.explore import chart
from mi_lite.figures import PALETTE

pytestmark = pytest.mark.browser

COUNTS = {
    path.relative_to(SITE).as_posix(): count
    for path in sorted(SITE.rglob("*.html"))
    if (count := path.read_text(encoding="utf-8").count('<div class="mi-explore"'))
}
PAGES = sorted(COUNTS)
ROUTING = "notebooks/03_dynamic_routing.html"
OF_EXPLORE = re.compile(r"plotly|explore/\w+\.json")
SHIFTS = """() => { window.shifted = 0; new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true }); }"""


class Explore:
    """A page with figures to explore, on a visit of its own."""

    def __init__(self, browser: Browser, base: str, name: str = ROUTING, **options: object) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})  # type: ignore[arg-type]
        self.visit = Visit(self.context, base)
        self.page: Page = self.visit.page
        self.asked: list[str] = []
        self.page.on("request", lambda request: OF_EXPLORE.search(request.url) and self.asked.append(request.url))
        self.page.goto(base + name, wait_until="load")
        self.boxes = self.page.locator(".mi-explore")
        self.page.wait_for_selector(".mi-explore-button", state="attached")

    def box(self, number: int = 0) -> Locator:
        box = self.boxes.nth(number)
        for _ in range(20):  # sections are laid out as they come near, which moves what lies below them
            box.scroll_into_view_if_needed()
            self.page.wait_for_timeout(80)
        return box

    def open(self, number: int = 0) -> Locator:
        box = self.box(number)
        box.locator(".mi-explore-button").click()
        box.locator(".mi-explore-chart .main-svg").first.wait_for()
        self.page.wait_for_function(
            "box => box.querySelector('.mi-explore-button').textContent === 'Close'", arg=box.element_handle()
        )
        return box

    def place(self, box: Locator, trace: int, point: int) -> tuple[float, float]:
        """Where a point of a chart lies in the window."""
        return tuple(
            box.locator(".mi-explore-chart").evaluate(
                """(plot, [trace, point]) => { const { x, y, xaxis, yaxis } = plot._fullData[trace];
                const [a, b] = [xaxis, yaxis].map((name) => plot._fullLayout[name[0] + "axis" + name.slice(1)]);
                const box = plot.getBoundingClientRect();
                return [box.x + a._offset + a.d2p(x[point]), box.y + b._offset + b.d2p(y[point])]; }""",
                [trace, point],
            )
        )

    def heard(self, box: Locator) -> str:
        self.page.wait_for_timeout(300)
        return box.locator("[role=status]").inner_text()

    def close(self) -> None:
        self.context.close()
        assert not self.visit.errors and not self.visit.foreign, f"{self.visit.errors} {self.visit.foreign}"


def test_there_are_figures_to_explore() -> None:
    assert ROUTING in COUNTS and len(PAGES) > 1, f"only {COUNTS} found in {SITE}. Run 'make book' first."


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_asked_for_before_the_press_and_then_once(browser: Browser, base: str, name: str) -> None:
    explore = Explore(browser, base, name)
    assert explore.boxes.count() == COUNTS[name]
    for number in range(COUNTS[name]):
        explore.box(number)
    assert explore.asked == []
    for number in range(COUNTS[name]):
        box = explore.open(number)
        assert box.locator(".mi-figure").is_hidden()
        assert box.locator(".mi-explore-chart .trace, .mi-explore-chart .hm").count(), "an empty chart"
    assert len([url for url in explore.asked if "plotly" in url]) == 1
    charts = [url for url in explore.asked if url.endswith(".json")]
    assert len(charts) == len(set(charts)) == COUNTS[name]
    explore.close()


def test_a_chart_file_is_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (SITE / "_static" / "explore").glob("*.json")}
    assert len(sizes) >= sum(COUNTS.values()) and max(sizes.values()) < 20_000, sizes


def test_hover_shows_a_value_and_a_drag_zooms(browser: Browser, base: str) -> None:
    explore = Explore(browser, base)
    box = explore.open()
    plot = box.locator(".mi-explore-chart")
    x, y = explore.place(box, 0, 4)
    explore.page.mouse.move(x - 30, y - 3)
    explore.page.mouse.move(x, y, steps=5)
    shown = plot.locator(".hoverlayer .hovertext")
    shown.wait_for()
    value = plot.evaluate("plot => plot._fullData[0].y[4]")
    assert "The Big Sleep" in shown.text_content() and f"{value:.4g}" in shown.text_content()
    before = plot.evaluate("plot => plot._fullLayout.xaxis.range.map(Number)")
    explore.page.mouse.move(x, y)
    explore.page.mouse.down()
    explore.page.mouse.move(x + 80, y - 60, steps=6)
    explore.page.mouse.up()
    explore.page.wait_for_timeout(400)
    after = plot.evaluate("plot => plot._fullLayout.xaxis.range.map(Number)")
    assert after[1] - after[0] < 0.8 * (before[1] - before[0])
    explore.close()


def test_by_keyboard_alone(browser: Browser, base: str) -> None:
    explore = Explore(browser, base)
    box = explore.box()
    button, page = box.locator(".mi-explore-button"), explore.page
    assert button.get_attribute("aria-label").startswith("Explore") and button.get_attribute("aria-expanded") == "false"
    button.focus()
    page.keyboard.press("Enter")
    plot = box.locator(".mi-explore-chart")
    plot.locator(".main-svg").first.wait_for()
    page.wait_for_function("() => document.querySelector('.mi-explore-button').textContent === 'Close'")
    assert button.get_attribute("aria-expanded") == "true" and "Arrow keys" in plot.get_attribute("aria-label")
    button.focus()
    page.keyboard.press("Shift+Tab")
    assert plot.evaluate("plot => plot.contains(document.activeElement)"), "the chart is not before its button"
    plot.focus()
    page.keyboard.press("ArrowRight")
    assert "The Big Sleep, iteration: 1," in explore.heard(box)
    page.keyboard.press("ArrowRight")
    first = explore.heard(box)
    assert "iteration: 2," in first
    page.keyboard.press("ArrowDown")
    assert "Chinatown, iteration: 2," in explore.heard(box)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert "The Big Sleep, iteration: 1," in explore.heard(box)
    page.keyboard.press("Escape")
    assert plot.count() == 0 and box.locator(".mi-figure").is_visible()
    assert button.evaluate("button => button === document.activeElement") and button.inner_text() == "Explore"
    page.keyboard.press("Enter")  # and again
    plot.locator(".main-svg").first.wait_for()
    explore.close()


def test_it_follows_the_theme_and_keeps_the_zoom_of_the_page(browser: Browser, base: str) -> None:
    explore = Explore(browser, base, color_scheme="light")
    box = explore.open()
    plot = box.locator(".mi-explore-chart")

    def colors() -> tuple[str, str]:
        return tuple(plot.evaluate("p => [p._fullData[0].line.color, p._fullLayout.font.color]"))

    assert colors() == (PALETTE["light"]["1"], PALETTE["light"]["fg"])
    height = box.bounding_box()["height"]
    explore.page.locator(".mi-theme").click()
    explore.page.wait_for_timeout(300)
    assert colors() == (PALETTE["dark"]["1"], PALETTE["dark"]["fg"])
    explore.page.locator(".mi-theme").click()
    explore.page.wait_for_timeout(300)
    assert colors() == (PALETTE["light"]["1"], PALETTE["light"]["fg"])
    assert box.bounding_box()["height"] == height
    explore.close()


def test_on_a_phone_panels_stand_under_each_other_and_a_finger_scrolls(browser: Browser, base: str) -> None:
    phone = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True}
    explore = Explore(browser, base, **phone)
    box = explore.open()
    plot = box.locator(".mi-explore-chart")
    domains = plot.evaluate("p => ['xaxis', 'xaxis2'].map((name) => p._fullLayout[name].domain)")
    assert domains == [[0, 1], [0, 1]] and plot.evaluate("p => p._fullLayout.dragmode") is False
    assert explore.page.evaluate("document.documentElement.scrollWidth") <= 360
    x, y = explore.place(box, 0, 4)
    explore.page.touchscreen.tap(x, y)
    plot.locator(".hoverlayer .hovertext").wait_for()
    labels = plot.locator(".xtick text, .ytick text").evaluate_all(
        "e => e.map((t) => t.getBoundingClientRect().height)"
    )
    assert min(labels) >= 11
    explore.close()


def test_a_press_that_fails_says_so_and_can_be_repeated(browser: Browser, base: str) -> None:
    explore = Explore(browser, base)
    box = explore.box()
    explore.page.route("**/plotly.min.js", lambda route: route.abort())
    box.locator(".mi-explore-button").click()
    explore.page.wait_for_function(
        "() => /could not be loaded/.test(document.querySelector('.mi-explore-said').textContent)"
    )
    assert box.locator(".mi-figure").is_visible()
    explore.page.unroute("**/plotly.min.js")
    explore.open()
    explore.visit.errors.clear()  # the failed request itself is reported, as it should be
    explore.close()


def test_a_heat_map_works_under_the_policy(browser: Browser, base: str) -> None:
    figure, ax = plt.subplots()
    artist = ax.imshow(np.arange(6.0).reshape(2, 3), aspect="auto")
    ax.set_xticks([0, 1, 2], ["noir", "drawn", "both"])
    ax.set_yticks([0, 1], ["u 1", "u 2"])
    figure.colorbar(artist, label="logit")
    made = json.dumps(chart(figure))
    plt.close(figure)
    explore = Explore(browser, base)

    def answer(route: Route) -> None:
        route.fulfill(body=made, content_type="application/json")

    explore.page.route("**/explore/*.json", answer)
    box = explore.open()
    plot = box.locator(".mi-explore-chart")
    assert plot.locator(".hm image").count() == 1
    plot.focus()
    explore.page.keyboard.press("ArrowRight")
    assert explore.heard(box) == "u 1, noir, 0"
    explore.page.keyboard.press("ArrowRight")
    explore.page.keyboard.press("ArrowUp")
    assert explore.heard(box) in ("u 1, drawn, 1", "u 2, drawn, 4")
    explore.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_moves_by_itself(browser: Browser, base: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.add_init_script(f"({SHIFTS})()")
    page.goto(base + ROUTING, wait_until="load")
    boxes = page.locator(".mi-explore")
    page.wait_for_selector(".mi-explore-button", state="attached")
    page.wait_for_timeout(400)
    assert page.evaluate("shifted") < 0.02
    boxes.first.scroll_into_view_if_needed()
    page.wait_for_timeout(400)
    shifted = page.evaluate("shifted")
    boxes.first.locator(".mi-explore-button").click()
    boxes.first.locator(".mi-explore-chart .main-svg").first.wait_for()
    page.wait_for_timeout(400)
    assert page.evaluate("shifted") - shifted < 0.02
    context.close()


def test_without_scripts_and_on_paper_there_is_the_still_alone(browser: Browser, base: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(base + ROUTING)
    assert (
        page.locator(".mi-explore .mi-figure svg").first.is_visible() and not page.locator(".mi-explore button").count()
    )
    assert page.locator(".mi-explore").first.evaluate("e => getComputedStyle(e).paddingBottom") == "0px"
    context.close()
    explore = Explore(browser, base)
    box = explore.open()
    explore.page.emulate_media(media="print")
    assert box.locator(".mi-figure svg").first.is_visible()
    assert box.locator(".mi-explore-chart").is_hidden() and box.locator(".mi-explore-button").is_hidden()
    explore.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_open_chart_is_accessible(browser: Browser, base: str, scheme: str) -> None:
    explore = Explore(browser, base, color_scheme=scheme, bypass_csp=True)
    for number in range(COUNTS[ROUTING]):
        explore.open(number)
    found = (
        Axe().run(explore.page, context=".mi-explore", options={"resultTypes": ["violations"]}).response["violations"]
    )
    serious = {
        rule["id"]: rule["nodes"][0]["html"][:200] for rule in found if rule["impact"] in ("serious", "critical")
    }
    explore.close()
    assert not serious, serious


def test_widgets_that_need_a_kernel_show_a_picture_and_a_sentence(browser: Browser, base: str) -> None:
    context = browser.new_context()
    visit = Visit(context, base)
    page = visit.go(ROUTING)
    place = page.locator(".mi-kernel")
    assert place.count() == 1 and place.locator("svg[role=img]").count() == 1
    assert "In a notebook two sliders stand here" in place.inner_text()
    assert (
        "IntSlider" not in place.locator("xpath=..").inner_text()
        and "VBox(" not in place.locator("xpath=..").inner_text()
    )
    context.close()
    assert not visit.errors and not visit.foreign
