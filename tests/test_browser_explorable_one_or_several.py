"""One vector against several on the front page, where most readers meet it first."""

# ruff: noqa: F811 (fixtures are arguments of the same name)

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser
from test_browser import Visit, base, browser  # noqa: F401 (fixtures)
from test_browser_explorables import PLACES, Live

pytestmark = pytest.mark.browser
NAME = "one_or_several"
PHONE = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True}


@pytest.fixture(autouse=True)
def on_the_front_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PLACES, NAME, "index.html")


def found(live: Live) -> list[int]:
    """The big numbers: films to her taste with one vector and with several."""
    said = live.said()
    return [int(number) for number in re.findall(r"(\d+) are to her taste", said)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_seen_at_once(browser: Browser, base: str, scheme: str) -> None:
    """On a phone and on a desk both pictures are on the first screen, one above the other or side by side."""
    for viewport, beside in (({"width": 360, "height": 780}, False), ({"width": 1280, "height": 800}, True)):
        live = Live(browser, base, NAME, scroll=False, viewport=viewport, color_scheme=scheme)
        one, several = (live.figure.locator(".mi-live-panel").nth(i).bounding_box() for i in (0, 1))
        assert one and several
        # (the last line, the names of the tastes, may be cut)
        assert several["y"] + 0.9 * several["height"] <= viewport["height"], f"below the first screen: {several}"
        assert (abs(one["y"] - several["y"]) < 1) == beside
        assert found(live) == [0, 6]
        live.close()


def test_a_thumb_brings_the_tastes_together(browser: Browser, base: str) -> None:
    live = Live(browser, base, NAME, **PHONE)
    session = live.context.new_cdp_session(live.page)
    width = live.page.evaluate("document.documentElement.scrollWidth")
    x, y = live.middle()
    scrolled = live.page.evaluate("scrollY")
    middle = live.figure.locator(".mi-live-panel").first.bounding_box()
    assert middle is not None
    end = middle["x"] + middle["width"] * 0.71, middle["y"] + middle["height"] * 0.27

    def touch(kind: str, *points: tuple[float, float]) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in points]})

    touch("touchStart", (x, y))
    for step in range(1, 21):
        touch("touchMove", (x + (end[0] - x) * step / 20, y + (end[1] - y) * step / 20))
    touch("touchEnd")
    assert found(live) == [6, 6], live.said()
    assert live.page.evaluate("[scrollY, document.documentElement.scrollWidth]") == [scrolled, width]
    live.figure.locator("[data-reset]").click()
    assert found(live) == [0, 6]
    live.close()


def test_few_controls_and_all_of_them_work(browser: Browser, base: str) -> None:
    live = Live(browser, base, NAME)
    shown = [label for label in live.figure.locator("label").all() if label.is_visible()]
    assert [label.locator("span").inner_text() for label in shown] == [
        "K, vectors", "N, films in the list", "Other films",
    ]  # fmt: skip
    shown[2].locator("input").fill("0")
    assert found(live) == [6, 6], "without other films one vector is enough"
    live.figure.locator("[data-reset]").click()
    live.figure.get_by_role("button", name="Drift apart").click()
    live.page.wait_for_function(
        "e => e.querySelector('svg').getAttribute('aria-label').includes('6 are to her taste')",
        arg=live.figure.element_handle(),
    )
    live.figure.get_by_role("button", name="Drift apart").wait_for(timeout=15000)
    assert found(live) == [0, 6]
    apart = lambda: int(re.findall(r"(\d+)° apart", live.said())[0])  # noqa: E731
    before = apart()
    live.figure.get_by_role("slider", name="Angle between the tastes").press("Shift+ArrowLeft")
    assert 5 < before - apart() < 15
    live.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_does_not_shift(browser: Browser, base: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    visit = Visit(context, base)
    visit.page.add_init_script(
        "window.shift = 0;"
        "new PerformanceObserver((list) => { for (const e of list.getEntries()) window.shift += e.value; })"
        ".observe({ type: 'layout-shift', buffered: true });"
    )
    page = visit.go("index.html")
    page.wait_for_selector(f'[data-module="{NAME}"][data-live]')
    page.wait_for_timeout(500)
    assert page.evaluate("window.shift") < 0.02
    context.close()
    assert not visit.errors and not visit.foreign
