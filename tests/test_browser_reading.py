"""Reading the built site in Chromium: previews, margin notes, fonts, styles, print; pictures of every page to look at.

The pictures lie in `_build/shots` afterwards, each page at 360 and 1280 pixels, light and dark, in strips.
"""

# ruff: noqa: F811 (fixtures are arguments of the same name)

from __future__ import annotations

import json
import sys

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page
from test_browser import PAGES, ROOT, SITE, Visit, base, browser  # noqa: F401 (fixtures)

pytestmark = pytest.mark.browser

SHOTS = SITE.parent / "shots"
STRIP = 6000  # pixels of height in one picture
CHAPTERS = [name for name in PAGES if name.startswith("notebooks/")]
LAID_OUT = "article > section > section { content-visibility: visible !important; }"
SHIFTS = """window.shift = 0;
new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shift += entry.value; })
.observe({type: "layout-shift", buffered: true})"""


def visit_with(browser: Browser, base: str, name: str, **options: object) -> tuple[Visit, Page]:
    visit = Visit(browser.new_context(**options), base)  # type: ignore[arg-type]
    page = visit.go(name)
    page.add_style_tag(content=LAID_OUT)
    page.wait_for_timeout(300)
    return visit, page


def end(visit: Visit) -> None:
    visit.page.context.close()
    assert not visit.errors and not visit.foreign, f"{visit.errors} {visit.foreign}"


def chapter_with(selector: str) -> str:
    for name in CHAPTERS:
        if BeautifulSoup((SITE / name).read_text(encoding="utf-8"), "html.parser").select_one(selector):
            return name
    pytest.fail(f"no chapter has {selector}")


HERE = "main a[href^='#eq-']:not(.mi-eqno)"
THERE = "main a[href*='.html#eq-']"


@pytest.mark.parametrize("selector", [HERE, THERE, "main a.mi-term"], ids=["here", "other page", "term"])
def test_a_link_is_previewed_on_hover_and_on_focus(browser: Browser, base: str, selector: str) -> None:
    visit, page = visit_with(browser, base, chapter_with(selector), viewport={"width": 1280, "height": 900})
    link, card = page.locator(selector).first, page.locator(".mi-preview")
    link.scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    height, address = page.evaluate("document.documentElement.scrollHeight"), page.url
    page.evaluate(SHIFTS)
    before = page.evaluate("window.shift ?? 0")
    link.hover()
    card.wait_for(state="visible")
    assert link.get_attribute("aria-describedby") == card.get_attribute("id")
    target = link.get_attribute("href").split("#")[1]
    stored = json.loads((SITE / "_static" / "previews.json").read_text(encoding="utf-8"))[target]
    assert card.inner_text().strip() and card.evaluate("(e, html) => { const t = document.createElement('div'); "
        "t.innerHTML = html; return t.textContent === e.textContent; }", stored)  # fmt: skip
    box = card.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 1280 and box["y"] >= 0
    page.mouse.move(box["x"] + 10, box["y"] + 10, steps=4)  # the pointer may go to what it shows
    page.wait_for_timeout(500)
    assert card.is_visible()
    page.mouse.move(2, 890)
    card.wait_for(state="hidden")
    assert link.get_attribute("aria-describedby") is None

    page.keyboard.press("Tab")  # from here on the keyboard leads
    link.focus()
    card.wait_for(state="visible")
    page.keyboard.press("Escape")
    assert card.is_hidden()
    assert link.evaluate("e => e === document.activeElement"), "Escape took the focus away"
    assert page.evaluate("document.documentElement.scrollHeight") == height and page.url == address
    assert page.evaluate("window.shift ?? 0") == before, "a preview moved the text"
    end(visit)


def test_a_first_tap_previews_and_a_second_one_follows(browser: Browser, base: str) -> None:
    options = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True}
    visit, page = visit_with(browser, base, chapter_with(THERE), **options)
    link, card = page.locator(THERE).first, page.locator(".mi-preview")
    link.scroll_into_view_if_needed()
    link.tap()
    card.wait_for(state="visible")
    box = card.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 360
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("article h1 + p, article h2").first.dispatch_event("click")
    assert card.is_hidden()
    link.tap()
    card.wait_for(state="visible")
    target = link.get_attribute("href")
    link.tap()
    page.wait_for_url(f"**/{target}")
    assert page.locator(":target").count() == 1
    end(visit)


def test_a_preview_looks_like_the_equation(browser: Browser, base: str) -> None:
    """A page keeps only the rules that it needs, so the formula of another page must bring its own."""
    for name in CHAPTERS:
        visit, page = visit_with(browser, base, name, viewport={"width": 1280, "height": 900})
        targets = page.locator(THERE).evaluate_all("links => links.map(a => a.href)")
        if targets:
            shown = page.locator(THERE).first
            shown.scroll_into_view_if_needed()
            shown.hover()
            page.locator(".mi-preview .katex-html").wait_for()
            page.wait_for_timeout(400)
            measure = "e => [e.offsetHeight, Math.round(e.querySelector('.katex-base').getBoundingClientRect().width)]"
            size = page.locator(".mi-preview").evaluate(f"e => ({measure})(e.querySelector('.katex'))")
            scale = page.locator(".mi-preview").evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
            page.goto(targets[0])
            page.wait_for_timeout(400)
            original = page.locator(f"#{targets[0].split('#')[1]} .katex").evaluate(measure)
            body = page.evaluate("parseFloat(getComputedStyle(document.querySelector('article p')).fontSize)")
            for one, other in zip(size, original, strict=True):
                assert abs(one / scale - other / body) < 0.25, f"{name}: {size} at {scale}, {original} at {body}"
        end(visit)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_keeps_every_rule_that_something_on_it_matches(browser: Browser, base: str, name: str) -> None:
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        from mi_site.assets import shrink
    finally:
        sys.path.pop(0)
    folder = ROOT / "book" / "_static"
    whole = (folder / "book.css").read_text(encoding="utf-8")
    visit, page = visit_with(browser, base, name)
    if page.locator(".katex").count():
        whole += (folder / "katex" / "katex.css").read_text(encoding="utf-8")
    lost = page.evaluate(
        """css => {
          const flat = rules => [...rules].flatMap(r => r.cssRules && !r.selectorText ? flat(r.cssRules) : [r]);
          const parts = rules => flat(rules).filter(r => r.selectorText)
            .flatMap(r => r.selectorText.split(/,(?![^(]*\\))/).map(s => s.trim()));
          const sheet = new CSSStyleSheet();
          sheet.replaceSync(css);
          const kept = new Set([...document.styleSheets].flatMap(s => parts(s.cssRules)));
          const passing = /::[\\w-]+|:(hover|focus|focus-visible|target|active)\\b/g;
          const matches = s => {
            try { return document.querySelector(s.replace(passing, "") || "*"); } catch { return false; }
          };
          return [...new Set(parts(sheet.cssRules))].filter(s => !kept.has(s) && matches(s));
        }""",
        shrink(whole),
    )
    assert not lost, f"{name}: {lost[:5]}"
    end(visit)


def test_the_books_fonts_come_after_the_first_paint_and_then_at_once(browser: Browser, base: str) -> None:
    name = CHAPTERS[1]
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(
        "document.addEventListener('readystatechange', () => "  # parsed; the site's own script runs after this
        "{ window.began ??= document.getElementById('mi-fonts').media; })"
    )
    page.goto(base + name)
    page.wait_for_function("document.getElementById('mi-fonts').media === 'all'")
    page.wait_for_function("[...document.fonts].some(f => f.family.includes('Book Serif') && f.status === 'loaded')")
    page.wait_for_function("[...document.fonts].some(f => f.family.includes('KaTeX') && f.status === 'loaded')")
    assert page.evaluate("window.began") == "print"
    fonts = "performance.getEntriesByType('resource').filter(e => e.name.endsWith('woff2')).map(e => e.startTime)"
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert min(page.evaluate(fonts)) >= paint, "a font was asked for before the first paint"
    page.goto(base + CHAPTERS[0])
    assert page.evaluate("window.began") == "", "the fonts of a later page come late"
    context.close()
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(base + name)
    page.wait_for_timeout(300)
    context.close()
    assert any("source-serif-4.woff2" in url for url in asked), "without scripts the book's font is not used"


def test_notes_stand_in_the_margin_and_in_the_text_of_a_phone(browser: Browser, base: str) -> None:
    name = chapter_with(".mi-note")
    for width in (1280, 360):
        visit, page = visit_with(browser, base, name, viewport={"width": width, "height": 900})
        for note in page.locator("section > .mi-beside > .mi-note").all():
            box = note.bounding_box()
            text = note.locator("xpath=preceding-sibling::*[1]").evaluate(
                "e => { const r = e.getBoundingClientRect(); return [r.top, r.right, r.bottom]; }"
            )
            top = note.evaluate("e => e.getBoundingClientRect().top")
            assert box and box["x"] + box["width"] <= width
            if width == 1280:
                assert box["x"] > text[1] and abs(top - text[0]) < 12, f"{name}: a note is not beside its text"
            else:
                assert box["x"] < 60 and top >= text[2] - 1, f"{name}: a note is not below its text"
        assert page.locator(".mi-note").count()
        end(visit)


@pytest.mark.parametrize("name", PAGES)
def test_print(browser: Browser, base: str, name: str) -> None:
    """On paper: the text and its figures, nothing to press, answers unfolded, nothing wider than the sheet."""
    visit, page = visit_with(browser, base, name, viewport={"width": 794 - 151, "height": 1000}, color_scheme="dark")
    page.emulate_media(media="print")
    page.wait_for_timeout(200)
    for selector in (".mi-bar", ".mi-nav", ".mi-neighbours", ".mi-elsewhere", ".mi-preview", ".mi-live-controls"):
        for thing in page.locator(selector).all():
            assert thing.is_hidden(), f"{name}: {selector} is printed"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(253, 251, 246)", "dark paper"
    for fold in page.locator("details:not([open]) > :not(summary, .mi-how)").all():
        assert (fold.bounding_box() or {"height": 0})["height"] > 0, f"{name}: a fold is not printed"
    wide = page.evaluate(
        """() => [...document.querySelectorAll('main :is(p, pre, table, svg, figure, .katex-html, h1, h2, h3, li)')]
        .filter(e => !e.closest('.katex-mathml, svg svg') && e.getBoundingClientRect().right > innerWidth + 2)
        .map(e => [e.outerHTML.slice(0, 90), e.getBoundingClientRect().right])"""
    )
    assert not wide, f"{name}: wider than the paper: {wide[:3]}"
    for figure in page.locator("main figure").all():
        assert figure.locator("svg, img").first.is_visible(), f"{name}: a figure is not printed"
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF") and len(pdf) > 5_000
    end(visit)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_pictures_to_look_at(browser: Browser, base: str, name: str, width: int, scheme: str) -> None:
    visit, page = visit_with(browser, base, name, viewport={"width": width, "height": 900}, color_scheme=scheme)
    SHOTS.mkdir(exist_ok=True)
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": width, "height": min(height, STRIP)})
    for number, top in enumerate(range(0, height, STRIP), start=1):
        page.evaluate(f"scrollTo(0, {top})")
        page.wait_for_timeout(200)  # live figures come to life
        path = SHOTS / f"{name.removesuffix('.html').replace('/', '-')}-{width}-{scheme}-{number}.jpg"
        page.screenshot(path=path, type="jpeg", quality=60, animations="disabled")
        assert path.stat().st_size > 5_000
    end(visit)
