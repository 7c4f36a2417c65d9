"""The built site, file by file. `make book` first; `tests/test_browser.py` looks at it in a browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, unquote, urldefrag, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag

from tools.book import BUILD

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(os.environ.get("MI_SITE_FOLDER", ROOT / "_build" / "html"))
SOURCES = Path(os.environ.get("MI_SITE_SOURCES", ROOT))
PAGE_BUDGET = 250_000  # bytes over the wire before the reader asks for anything
SCRIPT_BUDGET = 40_000


def page_names() -> list[str]:
    return sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html") if "_static" not in path.parts)


PAGES = page_names()


def test_the_site_has_been_built() -> None:
    assert (SITE / "index.html").exists(), f"There is no built site in {SITE}. Run 'make book' first."
    assert len(PAGES) > 4


@lru_cache(maxsize=64)
def read(name: str) -> str:
    return (SITE / name).read_text(encoding="utf-8")


@lru_cache(maxsize=64)
def soup(name: str) -> BeautifulSoup:
    return BeautifulSoup(read(name), "html.parser")


def local(page: str, address: str) -> tuple[Path, str]:
    """The file that an address on a page means, and the anchor."""
    path, anchor = urldefrag(address)
    path = unquote(urlsplit(path).path)
    folder = SITE if path.startswith("/") else (SITE / page).parent
    target = (folder / path.lstrip("/")).resolve() if path else (SITE / page).resolve()
    return (target / "index.html" if target.is_dir() else target), unquote(anchor)


@lru_cache(maxsize=64)
def anchors(path: Path) -> frozenset[str]:
    found = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").find_all(id=True)
    return frozenset(tag["id"] for tag in found)


@pytest.mark.parametrize("page", PAGES)
def test_nothing_comes_from_another_host(page: str) -> None:
    sources = [
        tag[key]
        for tag in soup(page).find_all(["script", "img", "iframe", "source", "video", "audio", "embed", "object"])
        for key in ("src", "data", "srcset")
        if tag.has_attr(key)
    ]
    sources += [
        tag["href"]
        for tag in soup(page).find_all("link")
        if set(tag.get("rel", [])) & {"stylesheet", "preload", "icon", "prefetch", "preconnect", "modulepreload"}
    ]
    sources += [
        tag[key]
        for tag in soup(page).select("svg image, svg use")
        for key in ("href", "xlink:href")
        if tag.has_attr(key)
    ]
    sources += re.findall(r"url\(([^)]*)\)", " ".join(tag.get_text() for tag in soup(page).find_all("style")))
    sources += re.findall(r"@import\s+['\"]?([^'\";]+)", read(page))
    foreign = [s for s in sources if re.match(r"(?:[a-z]+:)?//", s.strip("'\" ")) and not s.startswith("data:")]
    assert not foreign, f"{page} asks another host for {foreign}"


@pytest.mark.parametrize("page", PAGES)
def test_policy_allows_exactly_the_inline_scripts_that_are_there(page: str) -> None:
    metas = soup(page).find_all("meta", attrs={"http-equiv": "Content-Security-Policy"})
    assert len(metas) == 1, f"{page} states {len(metas)} policies instead of one"
    policy = metas[0]["content"]
    directives = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert directives["default-src"] == ["'self'"]
    assert directives["object-src"] == ["'none'"]
    assert "'unsafe-inline'" not in directives["script-src"] and "'unsafe-eval'" not in directives["script-src"]
    for script in soup(page).find_all("script"):
        if not script.get("src") and script.get("type", "text/javascript") not in (
            "application/json",
            "application/ld+json",
        ):
            digest = base64.b64encode(hashlib.sha256(script.get_text().encode()).digest()).decode()
            assert f"'sha256-{digest}'" in directives["script-src"], (
                f"{page}: an inline script the policy forbids: {script}"
            )


@pytest.mark.parametrize("page", PAGES)
def test_no_inline_handlers(page: str) -> None:
    bad = [(tag.name, key) for tag in soup(page).find_all(True) for key in tag.attrs if key.lower().startswith("on")]
    bad += [("a", tag["href"]) for tag in soup(page).find_all("a", href=re.compile(r"^\s*javascript:", re.I))]
    assert not bad, f"{page}: {bad}"


@pytest.mark.parametrize("page", PAGES)
def test_internal_links_and_anchors_resolve(page: str) -> None:
    broken = []
    for tag in soup(page).find_all(["a", "link", "script", "img", "form"]):
        address = tag.get("href") or tag.get("src") or tag.get("action")
        if not address or re.match(r"(?:[a-z]+:)|//", address):
            continue
        path, anchor = local(page, address)
        if not path.exists() or (anchor and path.suffix == ".html" and anchor not in anchors(path)):
            broken.append(address)
    assert not broken, f"{page}: links that lead nowhere: {broken}"


@pytest.mark.parametrize("page", PAGES)
def test_each_page_says_what_it_is(page: str) -> None:
    html = soup(page)
    assert html.html and html.html.get("lang") == "en"
    assert html.title and len(html.title.get_text(strip=True)) > 5
    description = html.find("meta", attrs={"name": "description"})
    assert isinstance(description, Tag) and 30 <= len(description["content"]) <= 170, f"{page}: {description}"
    assert "$" not in description["content"] and "\\" not in description["content"], (
        f"{page}: a formula in the description"
    )
    assert len(html.find_all("h1")) == 1, f"{page} has {len(html.find_all('h1'))} first-level headings"
    levels = [int(tag.name[1]) for tag in html.find_all(re.compile("^h[1-6]$"))]
    assert all(b <= a + 1 for a, b in pairwise(levels)), f"{page}: a heading level is skipped: {levels}"
    ids = [tag["id"] for tag in html.find_all(id=True)]
    assert len(ids) == len(set(ids)), f"{page}: used twice: {sorted({i for i in ids if ids.count(i) > 1})}"


def test_titles_and_descriptions_differ_between_pages() -> None:
    for what in (
        lambda page: soup(page).title.get_text(),
        lambda page: soup(page).find("meta", attrs={"name": "description"})["content"],
    ):
        said = [what(page) for page in PAGES]
        assert len(said) == len(set(said)), sorted(s for s in said if said.count(s) > 1)


def describes(text: str) -> bool:
    """More than a name: at least five words, and no file's name."""
    return len(text.split()) >= 5 and not re.search(r"\.(png|svg|jpe?g|webp|gif)\b", text)


@pytest.mark.parametrize("page", PAGES)
def test_figures_have_a_text(page: str) -> None:
    html = soup(page)
    for image in html.find_all("img"):
        assert describes(image.get("alt", "")), f"{page}: an image that says nothing: {str(image)[:120]}"
    for svg in html.find_all("svg"):
        if svg.find_parent("svg") or svg.find_parent(attrs={"aria-hidden": "true"}) or svg.get("aria-hidden") == "true":
            continue
        assert svg.get("role") == "img" and describes(svg.get("aria-label", "")), f"{page}: {str(svg)[:160]}"
    for table in html.select("table.mi-table"):
        wrap = table.find_parent(class_="mi-table-wrap")
        assert wrap is not None and wrap.get("tabindex") == "0", (
            f"{page}: a result table that cannot be scrolled by keyboard"
        )


@pytest.mark.parametrize("page", PAGES)
def test_no_traceback_and_no_raw_formula(page: str) -> None:
    article = BeautifulSoup(str(soup(page).find("article")), "html.parser")
    for tag in article.find_all(["code", "pre", "script", "style", "annotation", "svg"]):
        tag.decompose()
    text = article.get_text(" ")
    raw = re.findall(r"\$[^$\n]{0,60}|\\[a-zA-Z]{3,}\b[^\n]{0,40}", text)
    assert not raw, f"{page}: a formula that was not rendered: {raw[:3]}"
    assert "Traceback (most recent call last)" not in read(page), f"{page} shows a traceback"
    assert "katex-error" not in read(page)
    assert "{mi-" not in text and "```" not in text, f"{page}: markup that was not understood"


@pytest.mark.parametrize("page", PAGES)
def test_bytes(page: str) -> None:
    """What a first visit costs: the page, its scripts and every font that it may need, compressed as servers do."""

    def wire(path: Path) -> int:
        return path.stat().st_size if path.suffix == ".woff2" else len(gzip.compress(path.read_bytes(), 6))

    html = soup(page)
    scripts = [local(page, tag["src"])[0] for tag in html.find_all("script", src=True)]
    own = [s for s in scripts if s.name not in ("searchindex.js",)]
    assert sum(wire(s) for s in own) <= SCRIPT_BUDGET, f"{page}: scripts {sum(wire(s) for s in own)} bytes"
    fonts = [SITE / "_static" / "fonts" / name for name in ("source-serif-4.woff2", "source-serif-4-italic.woff2")]
    if html.select(".katex"):
        fonts += [SITE / "_static/katex/fonts" / f"KaTeX_{name}.woff2" for name in ("Main-Regular", "Math-Italic")]
    images = [
        local(page, tag["src"])[0] for tag in html.find_all("img", src=True) if not tag["src"].startswith("data:")
    ]
    cost = wire(SITE / page) + sum(wire(path) for path in {*scripts, *fonts, *images})
    assert cost <= PAGE_BUDGET, f"{page}: {cost} bytes before anything is asked for"


def test_front_page_is_a_page_and_missing_pages_have_one() -> None:
    front = soup("index.html")
    assert not front.find("meta", attrs={"http-equiv": "refresh"})
    assert front.h1 and "Many" in front.h1.get_text()
    buttons = [tag.get_text() for tag in front.select(".mi-button")]
    assert buttons == ["Read", "Run"]
    assert front.select_one("figure.mi-live[data-module=one_or_several] svg")
    assert (SITE / ".nojekyll").exists() and (SITE / "404.html").exists()
    links = [tag["href"] for tag in soup("404.html").find_all("a") if not tag["href"].startswith("#")]
    assert links and all(link.startswith("/") for link in links), (
        "404.html is met at any depth: its links begin at the root"
    )


def test_addresses_outside_stand_in_one_place() -> None:
    """While the repository's address is not set, no page offers it; once set, every chapter does."""
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    repository = re.search(r'mi_repository_url: "([^"]*)"', config)
    assert repository, "_config.yml has no mi_repository_url"
    chapters = [page for page in PAGES if page.startswith("notebooks/")]
    offered = [page for page in chapters if soup(page).find("a", href=re.compile("colab|mybinder"))]
    assert offered == (chapters if repository.group(1) else [])
    reported = [page for page in PAGES if soup(page).find("a", href=re.compile("/issues/new"))]
    assert bool(reported) == bool(repository.group(1))
    for page in chapters:
        notebook = local(page, soup(page).find("a", string="Download the notebook")["href"])[0]
        assert json.loads(notebook.read_text(encoding="utf-8"))["cells"], f"{page}: its notebook can't be downloaded"
    canonical = [page for page in PAGES if soup(page).find("link", rel="canonical")]
    set_ = bool(re.search(r'mi_site_url: "[^"]+"', config))
    assert bool(canonical) == set_ == (SITE / "sitemap.xml").exists() == (SITE / "_static" / "cards").exists()


@pytest.fixture(scope="module")
def addressed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small book of the same extension, built with both addresses set; nothing else in its configuration differs."""
    folder = tmp_path_factory.mktemp("addressed")
    shutil.copytree(ROOT / "book", folder / "book", ignore=shutil.ignore_patterns("*.md", "__pycache__"))
    (folder / "mi_lite").symlink_to(ROOT / "mi_lite")
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    for old, new in (
        (r'mi_repository_url: "[^"]*"', 'mi_repository_url: "https://github.com/someone/a-book"'),
        (r'mi_site_url: "[^"]*"', 'mi_site_url: "https://someone.github.io/a-book/"'),
        (r"execute_notebooks: \w+", 'execute_notebooks: "off"'),
        (r"mi_contracts: \S+", 'mi_contracts: ""'),
    ):
        config, count = re.subn(old, new, config)
        assert count == 1, f"_config.yml has no line like {old}"
    (folder / "_config.yml").write_text(config, encoding="utf-8")
    (folder / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nchapters:\n- file: notebooks/02_squash\n- file: book/glossary\n"
    )
    (folder / "book" / "index.md").write_text("# A Book\n\nIts first paragraph, long enough to describe the page.\n")
    shutil.copy(ROOT / "book" / "glossary.md", folder / "book")
    chapter = (
        "# Squash & capsules\n\nHow can one vector say two things at once?\n\n## A part\n\n$$ v = s $$ (eq-squash)"
    )
    cell = {"cell_type": "markdown", "metadata": {}, "source": chapter, "id": "one"}
    notebook = {"cells": [cell], "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}}}
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "02_squash.ipynb").write_text(json.dumps({**notebook, "nbformat": 4, "nbformat_minor": 5}))
    command = [sys.executable, "-c", BUILD, "build", ".", "-W", "--keep-going"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder / "_build" / "html"


def test_with_addresses_every_page_has_its_links_and_its_card(addressed: Path) -> None:
    site = "https://someone.github.io/a-book/"
    seen = set()
    for name, address, title in (
        ("index.html", site, "A Book"),
        ("notebooks/02_squash.html", site + "notebooks/02_squash.html", "Squash & capsules"),
        ("glossary.html", site + "glossary.html", "Glossary"),
    ):
        page = BeautifulSoup((addressed / name).read_text(encoding="utf-8"), "html.parser")
        social = {tag["property"]: tag["content"] for tag in page.find_all("meta", property=True)}
        assert page.find("link", rel="canonical")["href"] == social["og:url"] == address
        assert social["og:title"] == title and len(social["og:description"]) > 20
        assert social["og:image"].startswith(site)
        card = addressed / social["og:image"].removeprefix(site)
        head = card.read_bytes()[:24]
        assert head[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", head[16:]) == (1200, 630)
        assert (social["og:image:width"], social["og:image:height"]) == ("1200", "630")
        assert 4_000 < card.stat().st_size < 80_000
        seen.add(card.read_bytes())
        report = urlsplit(page.find("a", string="Report an error")["href"])
        assert f"{report.scheme}://{report.netloc}{report.path}" == "https://github.com/someone/a-book/issues/new"
        assert parse_qs(report.query)["title"] == [f"Error on the page: {title}"]
    assert len(seen) == 3, "two pages have the same card"
    assert set(re.findall(r"<loc>(.*?)</loc>", (addressed / "sitemap.xml").read_text())) == {
        site,
        site + "notebooks/02_squash.html",
        site + "glossary.html",
    }
    assert f"Sitemap: {site}sitemap.xml" in (addressed / "robots.txt").read_text()


def test_with_addresses_a_chapter_can_be_run_elsewhere(addressed: Path) -> None:
    page = BeautifulSoup((addressed / "notebooks" / "02_squash.html").read_text(encoding="utf-8"), "html.parser")
    links = {tag.get_text(): tag["href"] for tag in page.select(".mi-elsewhere a")}
    assert links.pop("Report an error") and links == {
        "Download the notebook": "../_sources/notebooks/02_squash.ipynb",
        "Open in Colab": "https://colab.research.google.com/github/someone/a-book/blob/main/notebooks/02_squash.ipynb",
        "Open in Binder": "https://mybinder.org/v2/gh/someone/a-book/main?labpath=notebooks%2F02_squash.ipynb",
        "Source": "https://github.com/someone/a-book/blob/main/notebooks/02_squash.ipynb",
    }
    assert [a.get_text() for a in page.select(".mi-elsewhere a[download]")] == ["Download the notebook"]


def test_with_an_address_the_missing_page_works_at_any_depth(addressed: Path) -> None:
    page = BeautifulSoup((addressed / "404.html").read_text(encoding="utf-8"), "html.parser")
    addresses = [tag.get("href") or tag.get("src") for tag in page.find_all(["a", "link", "script"])]
    inside = [a for a in addresses if a and not a.startswith("#")]
    assert inside and all(a.startswith("/a-book/") for a in inside), inside
    assert all((addressed / urlsplit(a).path.removeprefix("/a-book/")).exists() for a in inside)
    assert all(u.startswith("/a-book/") for u in re.findall(r"url\(([^)]+)\)", str(page.find_all("style"))))


# ---- equations: what the notebooks say against what the site shows ----


def notebooks() -> list[Path]:
    return sorted((SOURCES / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def markdown(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def equations() -> dict[str, str]:
    """Id → number, counted in the sources by the rule of the book: chapter, then place within it."""
    numbers: dict[str, str] = {}
    for path in notebooks():
        for place, label in enumerate(re.findall(r"\$\$[ \t]*\((eq-[\w-]+)\)", markdown(path)), start=1):
            assert label not in numbers, f"{path.name}: the id {label} is used twice"
            numbers[label] = f"{int(path.name[:2])}.{place}"
    return numbers


def test_equations_carry_their_numbers() -> None:
    numbers = equations()
    shown = {}
    for path in notebooks():
        page = f"notebooks/{path.stem}.html"
        assert page in PAGES, f"{path.name} is not in the built site; add it to _toc.yml and run 'make book'."
        for block in soup(page).select(".mi-equation[id]"):
            shown[block["id"]] = block.select_one(".mi-eqno").get_text().strip("()")
            assert block.select_one("math"), f"{page}: {block['id']} has no MathML"
    assert shown == numbers


def test_links_to_equations_say_the_right_number() -> None:
    """The site corrects them; readers on GitHub and in JupyterLab see what was typed."""
    numbers = equations()
    for path in notebooks():
        for text, label in re.findall(r"\[([^\]]*)\]\(#(eq-[\w-]+)\)", markdown(path)):
            assert label in numbers, f"{path.name} links to #{label}, which no equation has"
            typed = re.fullmatch(r"\(?(\d+\.\d+)\)?", text)
            assert not typed or typed.group(1) == numbers[label], (
                f"{path.name}: '{text}' links to {label}, which is ({numbers[label]})"
            )


@pytest.mark.parametrize("page", PAGES)
def test_equation_links_resolve(page: str) -> None:
    for tag in soup(page).find_all("a", href=re.compile("#eq-")):
        path, anchor = local(page, tag["href"])
        assert anchor in anchors(path), f"{page}: {tag['href']}"


def test_notebooks_use_only_what_github_and_colab_render() -> None:
    for path in notebooks():
        text = re.sub(r"```(?!\{).*?```", "", markdown(path), flags=re.S)
        found = re.findall(r"```\{\w+\}|:::|\{[a-z:]+\}`|^\([\w-]+\)=$", text, flags=re.M)
        assert not found, f"{path.name}: MyST markup {found[:3]}; see CONTRIBUTING.md for the plain conventions"


def test_boxes_are_decorated() -> None:
    """Every conventional block quote of a notebook is a box on its page, and no other block quote is."""
    kinds = {
        "Predict.": "predict",
        "Definition.": "definition",
        "Note.": "note",
        "In the wild.": "wild",
        "Try it.": "try",
    }
    for path in notebooks():
        text, page = markdown(path), f"notebooks/{path.stem}.html"
        for word, kind in kinds.items():
            written = len(re.findall(rf"(?:^|\n)[ \t]*> *\*\*{re.escape(word)}\*\*", text))
            assert len(soup(page).select(f".mi-box.mi-{kind}")) == written, f"{page}: {word}"


# ---- what a link shows before it is followed ----


def previews() -> dict[str, str]:
    return json.loads((SITE / "_static" / "previews.json").read_text(encoding="utf-8"))


def test_every_equation_term_and_paper_has_a_preview() -> None:
    found = previews()
    for label, number in equations().items():
        assert "katex" in found[label] and f"Equation ({number})" in found[label]
    terms = [tag["id"] for tag in soup("glossary.html").select("dt [id]")]
    assert len(terms) > 30 and set(terms) <= set(found)
    assert "胶囊" in found["term-capsule"] and "vectors" in found["term-capsule"]
    assert "Dynamic Routing Between Capsules" in found["sabour2017"]
    wanted = re.compile(r"#((?:eq|term)-[\w-]+|[a-z]+\d{4}[a-z]?)$")
    linked = {m.group(1) for page in PAGES for tag in soup(page).select("main a") if (m := wanted.search(tag["href"]))}
    assert linked and linked <= set(found), f"no preview for {sorted(linked - set(found))}"


def test_first_mention_of_a_term_leads_to_the_glossary() -> None:
    for path in notebooks():
        page = f"notebooks/{path.stem}.html"
        terms = soup(page).select("a.mi-term")
        assert len(terms) > 4, f"{page}: {len(terms)} terms"
        targets = [tag["href"] for tag in terms]
        assert len(targets) == len(set(targets)), f"{page}: a term is linked twice"
        for tag in terms:
            assert not tag.find_parent(["h1", "h2", "h3", "h4", "code", "pre", "th", "td"]), f"{page}: {tag}"
            name = urldefrag(tag["href"])[1].removeprefix("term-")
            said = re.sub(r"\W+", "-", tag.get_text().lower())
            assert name.startswith(said.rstrip("s")[:5]), f"{page}: '{tag.get_text()}' leads to {name}"


# ---- colours ----


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_palette_has_enough_contrast_and_reaches_the_page(mode: str) -> None:
    colours = json.loads((ROOT / "mi_lite" / "palette.json").read_text(encoding="utf-8"))[mode]
    assert set(colours) == {*map(str, range(1, 9)), "fg", "muted", "grid", "bg"}
    for name, value in colours.items():
        need = {"fg": 4.5, "muted": 4.5, "grid": 1.0, "bg": 1.0}.get(name, 3.0)
        assert contrast(value, colours["bg"]) >= need, f"{mode} {name}: {contrast(value, colours['bg']):.2f}"
        assert f"--mi-{name}:{value}" in read("index.html")
