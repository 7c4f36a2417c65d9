"""The built site in Chromium: no error, no other host, both themes, a phone, no JavaScript, search, accessibility."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tools.chromium import INSTALL, find_chromium

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(os.environ.get("MI_SITE_FOLDER", ROOT / "_build" / "html"))
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html") if "_static" not in path.parts)
NO_ANIMATION = "*,*::before,*::after{transition:none!important;animation:none!important;scroll-behavior:auto!important}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(
                executable_path=find_chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
        except Exception as error:
            pytest.fail(f"{INSTALL} ({str(error).splitlines()[0]})", pytrace=False)
        yield found
        found.close()


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    sys.path.insert(0, str(ROOT / "book"))
    try:
        from serve import make_server
    finally:
        sys.path.pop(0)
    try:
        server = make_server(SITE, quiet=True)
    except ValueError as error:
        pytest.fail(str(error), pytrace=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


class Visit:
    """A page that notes what goes wrong on it."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.page: Page = context.new_page()
        self.base, self.errors, self.foreign = base, [], []
        self.page.on(
            "console", lambda message: message.type in ("error", "warning") and self.errors.append(message.text)
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self.note)

    def note(self, request: object) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):  # type: ignore[attr-defined]
            self.foreign.append(request.url)  # type: ignore[attr-defined]

    def go(self, name: str) -> Page:
        self.page.goto(self.base + name, wait_until="load")
        self.page.add_style_tag(content=NO_ANIMATION)
        return self.page


def test_there_are_pages() -> None:
    assert PAGES, f"There is no built site in {SITE}. Run 'make book' first."


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_quiet_and_fits_a_phone(browser: Browser, base: str, name: str, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 780}, color_scheme=scheme)  # type: ignore[arg-type]
    visit = Visit(context, base)
    page = visit.go(name)
    page.wait_for_timeout(150)
    wide = page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth ? [] :
        [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
        .slice(0, 4).map(e => e.outerHTML.slice(0, 120))"""
    )
    assert not wide, f"{name} is wider than 360 pixels: {wide}"
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(int(part) for part in background.strip("rgb()").split(",")) > 384
    assert light == (scheme == "light")
    context.close()
    assert not visit.errors and not visit.foreign, f"{name}: {visit.errors} {visit.foreign}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible(browser: Browser, base: str, name: str, scheme: str) -> None:
    # The policy forbids the checker's own script, so the checker gets a context that ignores it.
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]
    page = Visit(context, base).go(name)
    page.wait_for_timeout(400)
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = {
        rule["id"]: [n["html"][:140] for n in rule["nodes"][:3]]
        for rule in found
        if rule["impact"] in ("serious", "critical")
    }
    context.close()
    assert not serious, f"{name}: {serious}"


@pytest.mark.parametrize("name", PAGES)
def test_page_reads_without_javascript(browser: Browser, base: str, name: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 780}, java_script_enabled=False)
    page = context.new_page()
    page.goto(base + name)
    assert page.locator("h1").is_visible()
    assert len(page.locator("main").inner_text()) > 60
    for figure in page.locator("figure").all():
        assert figure.locator("svg, img").first.is_visible(), f"{name}: a figure that needs JavaScript"
    assert page.locator(".mi-theme").is_hidden(), "a button that does nothing without JavaScript is shown"
    page.locator(".mi-open").click()
    assert page.locator("#contents a[href]").first.is_visible()
    context.close()


@pytest.mark.parametrize("words", ["squash", "胶囊"])
def test_search_finds(browser: Browser, base: str, words: str) -> None:
    context = browser.new_context()
    visit = Visit(context, base)
    page = visit.go("index.html")
    page.locator("#contents input[name=q]").fill(words)
    page.locator("#contents input[name=q]").press("Enter")
    page.wait_for_selector("#search-results li a")
    first = page.locator("#search-results li a").first
    first.click()
    page.wait_for_load_state()
    assert words.lower() in page.locator("main").inner_text().lower()
    context.close()
    assert not visit.errors and not visit.foreign


def test_theme_button_is_kept_across_pages(browser: Browser, base: str) -> None:
    context = browser.new_context(color_scheme="light")
    visit = Visit(context, base)
    page = visit.go("index.html")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator(".mi-theme").click()
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert before != after
    page = visit.go("notation.html")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after
    assert page.locator(".mi-theme").get_attribute("aria-label") == "Use the light colours"
    page.locator(".mi-theme").press("Enter")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == before
    context.close()
    assert not visit.errors


def test_contents_open_and_close_on_a_phone_by_keyboard(browser: Browser, base: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 780})
    page = Visit(context, base).go("notation.html")
    page.locator(".mi-open").press("Enter")
    assert page.locator("#contents").evaluate("e => getComputedStyle(e).position") == "fixed"
    page.locator(".mi-close").press("Enter")
    assert page.locator("#contents").evaluate("e => getComputedStyle(e).position") != "fixed"
    context.close()


def test_what_scrolls_can_be_reached_by_keyboard(browser: Browser, base: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 780})
    visit = Visit(context, base)
    for name in PAGES:
        page = visit.go(name)
        page.wait_for_timeout(400)
        left = page.evaluate(
            """() => [...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth + 1
            && /auto|scroll/.test(getComputedStyle(e).overflowX) && e.tabIndex < 0
            && !e.querySelector('[tabindex="0"], a[href]')).map(e => e.outerHTML.slice(0, 100))"""
        )
        assert not left, f"{name}: {left[:3]}"
    context.close()


def test_missing_page(browser: Browser, base: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    answer = page.goto(base + "no/such/page.html")
    assert answer is not None and answer.status == 404
    assert "No such page" in page.locator("h1").inner_text()
    page.locator("main .mi-button").click()
    page.wait_for_load_state()
    assert page.locator("figure.mi-live").is_visible()
    context.close()
