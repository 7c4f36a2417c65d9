"""The live figures on the built site: mouse, touch and keyboard, light and dark, shared, printed, without scripts."""

# ruff: noqa: F811 (fixtures are arguments of the same name)

from __future__ import annotations

import json
import re
from urllib.parse import quote, unquote

import pytest
from playwright.sync_api import Browser, Locator, Page
from test_browser import SITE, Visit, base, browser  # noqa: F401 (fixtures)

from mi_lite.explorables.base import FOLDER, SHARED

pytestmark = pytest.mark.browser

NAMES = sorted(path.stem for path in FOLDER.glob("*.js") if path.stem not in SHARED)
PLACES = {
    module: path.relative_to(SITE).as_posix()
    for path in sorted(SITE.rglob("*.html"))
    for module in NAMES
    if f'data-module="{module}"' in path.read_text(encoding="utf-8")
}
MODULES = sorted(PLACES)
# The figures with points that can be moved; the others have tests of their own.
HANDLES = re.compile(r"^export (function|const) handles", re.M)
DRAGGED = [name for name in MODULES if HANDLES.search((FOLDER / f"{name}.js").read_text("utf-8"))]


def come_near(page: Page, figure: Locator) -> None:
    """Scroll to a figure until it lives: sections are laid out as they come near, which moves what lies below them."""
    for _ in range(50):
        figure.scroll_into_view_if_needed()
        page.wait_for_timeout(100)
        if figure.get_attribute("data-live") is not None:
            return
    pytest.fail("the figure did not come to life")


class Live:
    """A live figure on a page of its own visit."""

    def __init__(
        self, browser: Browser, base: str, module: str, fragment: str = "", scroll: bool = True, **options: object
    ) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})  # type: ignore[arg-type]
        self.visit = Visit(self.context, base)
        self.page: Page = self.visit.page
        self.page.goto(base + PLACES[module] + fragment)
        self.figure: Locator = self.page.locator(f'[data-module="{module}"]')
        if scroll:
            come_near(self.page, self.figure)
        self.page.wait_for_selector(f'[data-module="{module}"][data-live]')
        self.page.wait_for_timeout(150)
        self.handle = self.figure.locator(".mi-live-handle").first
        self.module = module

    def said(self) -> str:
        """What the pictures say of themselves: changes with the state."""
        self.page.wait_for_timeout(60)
        return " ".join(svg.get_attribute("aria-label") or "" for svg in self.figure.locator("svg").all())

    def middle(self) -> tuple[float, float]:
        self.handle.scroll_into_view_if_needed()
        box = self.handle.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def close(self) -> None:
        self.context.close()
        assert not self.visit.errors and not self.visit.foreign, f"{self.visit.errors} {self.visit.foreign}"


def test_every_figure_is_on_the_site() -> None:
    assert MODULES == NAMES, f"only {MODULES} found in {SITE}. Run 'make book' first."


@pytest.mark.parametrize("module", DRAGGED)
def test_by_mouse_and_reset(browser: Browser, base: str, module: str) -> None:
    live = Live(browser, base, module)
    before, (x, y) = live.said(), live.middle()
    live.page.mouse.move(x, y)
    live.page.mouse.down()
    live.page.mouse.move(x - 40, y + 25, steps=6)
    assert live.said() != before, "nothing moves while the point is dragged"
    live.page.mouse.up()
    now = live.middle()
    assert abs(now[0] - (x - 40)) < 2 and abs(now[1] - (y + 25)) < 2, "the point is not under the pointer"
    live.page.mouse.move(x + 50, y)
    assert live.middle() == now, "the point follows after it was let go"
    live.figure.locator("[data-reset]").click()
    assert live.said() == before
    live.close()


@pytest.mark.parametrize("module", DRAGGED)
def test_by_touch_without_scrolling_the_page(browser: Browser, base: str, module: str) -> None:
    live = Live(browser, base, module, viewport={"width": 360, "height": 780}, has_touch=True, is_mobile=True)
    before, (x, y) = live.said(), live.middle()
    session = live.context.new_cdp_session(live.page)
    scrolled = live.page.evaluate("scrollY")

    def touch(kind: str, *points: tuple[float, float]) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in points]})

    touch("touchStart", (x, y))
    for step in range(1, 7):
        touch("touchMove", (x - 4 * step, y + 6 * step))
    touch("touchEnd")
    assert live.said() != before
    assert live.page.evaluate("scrollY") == scrolled
    now = live.middle()
    assert abs(now[0] - (x - 24)) < 2 and abs(now[1] - (y + 36)) < 2
    live.close()


@pytest.mark.parametrize("module", DRAGGED)
def test_by_keyboard(browser: Browser, base: str, module: str) -> None:
    live = Live(browser, base, module)
    start = live.middle()
    live.handle.focus()
    live.page.keyboard.press("ArrowLeft")
    live.page.wait_for_timeout(60)
    small = start[0] - live.middle()[0]
    live.page.keyboard.press("Shift+ArrowLeft")
    live.page.wait_for_timeout(60)
    large = start[0] - live.middle()[0] - small
    assert small > 2 and large > 4 * small
    live.page.keyboard.press("ArrowDown")
    live.page.wait_for_timeout(60)
    assert live.middle()[1] > start[1] + 2
    assert live.handle.evaluate("e => e === document.activeElement"), "the point lost the focus while it moved"
    status = live.figure.locator("[role=status]")
    live.page.wait_for_function("e => e.textContent.length > 20", arg=status.element_handle())
    assert status.get_attribute("aria-live") == "polite"
    reached = set()
    for _ in range(60):  # every control can be reached by Tab
        live.page.keyboard.press("Tab")
        reached |= {
            live.figure.evaluate("e => e.contains(document.activeElement) ? document.activeElement.outerHTML : ''")
        }
    reached = {element for element in reached if "data-control" in element or "data-reset" in element}
    assert len(reached) == live.figure.locator("[data-control]:not([disabled]), [data-reset]").count()
    live.close()


@pytest.mark.parametrize("module", MODULES)
def test_every_control_does_something(browser: Browser, base: str, module: str) -> None:
    live = Live(browser, base, module)
    before = live.said()
    unchanged = []
    for control in live.figure.locator("select[data-control]").all():
        values = control.locator("option").evaluate_all("options => options.map((o) => o.value)")
        started = control.input_value()
        control.select_option(next(v for v in values if v != started))
        if live.said() == before:
            unchanged.append(control.locator("xpath=..").inner_text().split("\n")[0])
        control.select_option(started)
        assert live.said() == before
    for control in live.figure.locator("input[data-control]").all():
        started, beside = control.input_value(), control.locator("xpath=following-sibling::output")
        told = beside.inner_text()
        control.press("ArrowRight" if started != control.get_attribute("max") else "ArrowLeft")
        if control.input_value() == started:
            control.press("ArrowLeft")
        assert control.input_value() != started
        live.page.wait_for_timeout(60)
        assert beside.inner_text() != told, "the value beside the slider stands still"
    live.figure.locator("[data-reset]").click()
    assert live.said() == before
    # Padding that is masked before the softmax changes no number; where it is masked is moot without padding.
    assert [name for name in unchanged if not name.startswith("Padd")] == []
    live.close()


def test_zero_logits_stay_equal_and_play_runs_to_the_end(browser: Browser, base: str) -> None:
    live = Live(browser, base, "dynamic_routing")
    live.figure.locator("label", has_text="Logits start").locator("select").select_option("zero")
    assert "Mean cosine of the interests 1.00" in live.said()
    live.figure.locator("label", has_text="Logits start").locator("select").select_option("far apart")
    assert "purity 1.00" in live.said()
    live.figure.get_by_role("button", name="Play").click()
    assert "after iteration 1 of 3" in live.said()
    live.page.wait_for_function(
        "e => e.querySelector('svg').getAttribute('aria-label').includes('iteration 3 of 3')",
        arg=live.figure.element_handle(),
    )
    live.figure.get_by_role("button", name="Play").wait_for()
    live.figure.get_by_role("button", name="One more film").click()
    assert "Film 10" in live.said()
    assert live.figure.locator(".mi-live-handle").count() == 10
    live.close()


@pytest.mark.parametrize(
    ("module", "state"),
    [
        ("squash", {"variant": "root", "vector": [0.5, -1.5]}),
        ("dynamic_routing", {"num_interests": 5, "axis": "behaviors"}),
    ],
)
def test_an_address_holds_the_state(browser: Browser, base: str, module: str, state: dict) -> None:
    name = "live-" + module.replace("_", "-")
    live = Live(browser, base, module)
    start = live.said()
    live.close()
    shared = Live(browser, base, module, fragment=f"#{name}:{quote(json.dumps(state))}")
    assert shared.said() != start
    shared.close()
    shared = Live(browser, base, module, fragment=f"#{name}:{quote(json.dumps(state))}", scroll=False)
    shared.page.wait_for_function(
        "id => Math.abs(document.getElementById(id).getBoundingClientRect().top) < 150", arg=name
    )
    shared.handle.press("ArrowUp")
    shared.page.wait_for_function("before => location.hash !== before", arg=f"#{name}:{quote(json.dumps(state))}")
    held = json.loads(unquote(shared.page.evaluate("location.hash")).split(":", 1)[1])
    assert {key: held[key] for key in state if key != "vector"} == {key: state[key] for key in state if key != "vector"}
    again = shared.said()
    shared.page.reload()
    shared.page.wait_for_selector(f"#{name}[data-live]")
    assert shared.said() == again
    shared.close()
    broken = Live(browser, base, module, fragment=f"#{name}:%7B%22variant%22")
    assert broken.said() == start
    broken.close()


@pytest.mark.parametrize("module", MODULES)
def test_follows_the_theme_button(browser: Browser, base: str, module: str) -> None:
    live = Live(browser, base, module, color_scheme="light")
    ink = "e => getComputedStyle(e.querySelector('svg text')).fill"
    before = live.figure.evaluate(ink)
    live.page.locator(".mi-theme").click()
    assert live.figure.evaluate(ink) != before
    live.close()


@pytest.mark.parametrize("module", MODULES)
def test_without_scripts_the_still_stands_alone(browser: Browser, base: str, module: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 780}, java_script_enabled=False)
    page = context.new_page()
    page.goto(base + PLACES[module])
    figure = page.locator(f'[data-module="{module}"]')
    assert figure.locator("svg").count() >= 3
    for picture in figure.locator("svg").all():
        picture.scroll_into_view_if_needed()
        box = picture.bounding_box()
        assert box is not None and box["width"] > 250 and box["height"] > 150
    assert figure.locator(".mi-live-controls").is_hidden(), "controls that do nothing are shown"
    assert "Try." in figure.locator("figcaption").inner_text()
    context.close()


@pytest.mark.parametrize("module", MODULES)
def test_on_paper_there_are_no_controls(browser: Browser, base: str, module: str) -> None:
    live = Live(browser, base, module)
    live.page.emulate_media(media="print")
    assert live.figure.locator(".mi-live-controls").is_hidden()
    assert live.figure.locator("svg").first.is_visible()
    live.close()


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("width", [360, 1280])
def test_coming_to_life_moves_nothing(browser: Browser, base: str, module: str, width: int) -> None:
    """The figure has its final size before its script has arrived."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.route(f"**/live/{module}.js", lambda route: None)  # held back
    page.goto(base + PLACES[module])
    figure = page.locator(f'[data-module="{module}"]')
    figure.scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    assert figure.get_attribute("data-live") is None
    still = figure.evaluate("e => [e.offsetWidth, e.offsetHeight]")
    page.unroute_all(behavior="ignoreErrors")
    context.close()
    live = Live(browser, base, module, viewport={"width": width, "height": 900})
    assert live.figure.evaluate("e => [e.offsetWidth, e.offsetHeight]") == still
    live.close()


@pytest.mark.parametrize("module", MODULES)
def test_scripts_load_when_the_figure_comes_near(browser: Browser, base: str, module: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 300})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[-1]))
    page.goto(base + PLACES[module])
    page.wait_for_timeout(300)
    if page.locator(f'[data-module="{module}"]').evaluate("e => e.getBoundingClientRect().top") > 1000:
        assert f"{module}.js" not in asked
    come_near(page, page.locator(f'[data-module="{module}"]'))
    assert asked.count("kit.js") == 1 and asked.count(f"{module}.js") == 1
    context.close()


def test_a_figure_goes_on_without_the_network(browser: Browser, base: str) -> None:
    live = Live(browser, base, "squash")
    before = live.said()
    live.context.set_offline(True)
    live.handle.press("ArrowUp")
    assert live.said() != before
    live.close()
