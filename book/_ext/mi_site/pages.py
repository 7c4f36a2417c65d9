"""Files that no source stands for: 404.html, .nojekyll, a sitemap; and a static folder with only what is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from sphinx.application import Sphinx

from .urls import short

KEPT = ("book.js", "favicon.svg", "fonts/", "katex/fonts/", "katex/LICENSE.txt", "images/", "explore/")
SEARCH = ("documentation_options.js", "doctools.js", "sphinx_highlight.js", "searchtools.js", "language_data.js")
NOT_FOUND = (
    "<h1>No such page</h1><p>Nothing lives at this address. It may have moved when a chapter was renamed.</p>"
    '<p><a class="mi-button" href="{home}">To the front page</a></p>'
)


def root_path(app: Sphinx) -> str:
    """A missing page can be met at any depth, so 404.html links from the site's root."""
    return urlsplit(app.config.mi_site_url).path.rstrip("/") + "/"


def not_found(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    yield "404", {"title": "No such page", "body": NOT_FOUND.format(home=root_path(app) + "index.html")}, "page.html"


def anchor_at_root(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if pagename != "404":
        return
    root, relative = root_path(app), context["pathto"]
    context["pathto"] = lambda *args, **kwargs: root + relative(*args, **kwargs)
    context["content_root"] = root
    context["mi_absolute"] = root


def finish_contents(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if pagename == "404":
        context["mi_contents"] = re.sub(r'href="(?![#/])', f'href="{root_path(app)}', context["mi_contents"])


def tidy(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.format != "html":
        return
    out = Path(app.outdir)
    (out / ".nojekyll").touch()
    if app.config.mi_site_url:
        site = app.config.mi_site_url.rstrip("/")
        names = ["" if page == app.config.root_doc else f"{short(page)}.html" for page in sorted(app.env.found_docs)]
        places = "".join(f"<url><loc>{escape(f'{site}/{quote(name)}')}</loc></url>" for name in names)
        head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
        (out / "sitemap.xml").write_text(f"{head}{places}</urlset>\n", encoding="utf-8")
        (out / "robots.txt").write_text(f"User-agent: *\nAllow: /\nSitemap: {site}/sitemap.xml\n", encoding="utf-8")
    static = out / "_static"
    for path in sorted(static.rglob("*"), reverse=True):
        name = path.relative_to(static).as_posix()
        if path.is_file() and not name.startswith(KEPT) and name not in SEARCH:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def setup(app: Sphinx) -> None:
    app.connect("html-collect-pages", not_found)
    app.connect("html-page-context", anchor_at_root, priority=100)
    app.connect("html-page-context", finish_contents, priority=800)
    app.connect("build-finished", tidy, priority=900)
