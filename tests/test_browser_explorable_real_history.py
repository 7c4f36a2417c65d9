"""The figure of a real history on the built site: a button for each film, by hover, touch and keyboard."""

# ruff: noqa: F811 (fixtures are arguments of the same name)

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser
from test_browser import base, browser  # noqa: F401 (fixtures)
from test_browser_explorables import Live

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True}


class History(Live):
    """The figure with its film buttons."""

    def __init__(self, browser: Browser, base: str, **options: object) -> None:
        super().__init__(browser, base, "real_history", **options)  # type: ignore[arg-type]
        self.films = self.figure.locator(".mi-live-films button")

    def looked_at(self) -> str:
        """What the third picture says of the film that is looked at."""
        self.page.wait_for_timeout(60)
        return self.figure.locator("svg").nth(2).get_attribute("aria-label") or ""

    def out(self) -> list[int]:
        """The films that are taken out, by number."""
        self.page.wait_for_timeout(60)
        pressed = self.films.evaluate_all("films => films.map((f) => f.getAttribute('aria-pressed'))")
        return [i + 1 for i, on in enumerate(pressed) if on == "false"]


def test_hover_shows_a_film_and_a_click_takes_it_out(browser: Browser, base: str) -> None:
    live = History(browser, base)
    before = live.said()
    for i in (1, 13):
        live.films.nth(i).hover()
        title = live.films.nth(i).get_attribute("title") or ""
        assert title.split(" (")[0].split(",")[0] in live.looked_at()
        assert title in (live.films.nth(i).get_attribute("aria-label") or "")
    assert live.out() == []
    live.films.nth(13).click()
    assert live.out() == [14] and "is taken out" in live.looked_at()
    assert "14 " in live.said() and "taken out" in (live.films.nth(13).get_attribute("aria-label") or "")
    live.films.nth(13).click()
    assert live.out() == []
    live.films.nth(2).click()
    live.figure.get_by_role("button", name="Take film out / put back").click()
    assert live.out() == []
    live.films.nth(2).click()
    live.figure.locator("[data-reset]").click()
    assert live.out() == [] and live.said() == before
    live.close()


def test_a_first_touch_looks_and_a_second_takes_out(browser: Browser, base: str) -> None:
    live = History(browser, base, **PHONE)
    assert all(
        box["height"] >= 24 and box["width"] > 300 for box in [f.bounding_box() for f in live.films.all()] if box
    )
    before = live.looked_at()
    film = live.films.nth(4)
    film.scroll_into_view_if_needed()
    film.tap()
    assert live.out() == [] and live.looked_at() != before
    film.tap()
    assert live.out() == [5]
    film.tap()
    assert live.out() == []
    live.close()


def test_arrows_move_and_enter_or_delete_takes_out(browser: Browser, base: str) -> None:
    live = History(browser, base)
    one_stop = live.films.evaluate_all("films => films.filter((f) => f.tabIndex === 0).length")
    assert one_stop == 1, "one stop of Tab for the whole list"
    live.films.nth(0).focus()
    for key, at in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("End", live.films.count() - 1), ("Home", 0)):
        live.page.keyboard.press(key)
        assert live.films.nth(at).evaluate("e => e === document.activeElement"), key
    first = live.looked_at()
    live.page.keyboard.press("Enter")
    assert live.out() == [1]
    live.page.keyboard.press("Delete")
    assert live.out() == [] and live.looked_at() == first
    live.page.keyboard.press("ArrowDown")
    live.page.keyboard.press("Delete")
    assert live.out() == [2]
    status = live.figure.locator("[role=status]")
    live.page.wait_for_function("e => e.textContent.includes('is taken out')", arg=status.element_handle())
    live.page.wait_for_function("() => location.hash.startsWith('#live-real-history:')")
    held = json.loads(unquote(live.page.evaluate("location.hash")).split(":", 1)[1])
    assert held == {"film": 2, "left_out": [2]}, "an address holds what was changed, and no data"
    live.page.reload()
    live.page.wait_for_selector("#live-real-history[data-live]")
    assert live.out() == [2]
    live.close()


def test_play_goes_from_the_start_to_the_end(browser: Browser, base: str) -> None:
    live = History(browser, base)
    live.figure.get_by_role("button", name="Play").click()
    assert "after iteration 1 of 3" in live.said()
    live.page.wait_for_function(
        "e => e.querySelector('svg').getAttribute('aria-label').includes('iteration 3 of 3')",
        arg=live.figure.element_handle(),
    )
    live.figure.locator("label", has_text="Logits start").locator("select").select_option("zero")
    assert "no film belongs anywhere" in live.said()
    live.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_titles_stay_in_their_column(browser: Browser, base: str, width: int) -> None:
    live = History(browser, base, viewport={"width": width, "height": 900})
    ends = "all => all.map((t) => t.getBBox()).map((b) => b.x + b.width)"
    titles = live.figure.locator("svg").nth(1).locator("text:has(tspan)").evaluate_all(ends)
    assert len(titles) == live.films.count() and max(titles) <= 187
    assert max(live.figure.locator("svg").nth(0).locator("text").evaluate_all(ends)) <= 320
    live.close()
