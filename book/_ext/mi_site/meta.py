"""What search engines and link previews read: a description from the page's first paragraph, social tags, addresses."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from docutils import nodes
from markupsafe import Markup
from sphinx.application import Sphinx

from .boxes import mi_box
from .urls import short

LONGEST = 158


def lead(doctree: nodes.document) -> str:
    """The first paragraph that is running text (not in a box, a quotation, a list, a table or a cell)."""
    inside = (mi_box, nodes.block_quote, nodes.list_item, nodes.entry, nodes.container, nodes.definition)
    for paragraph in doctree.findall(nodes.paragraph):
        above, boxed = paragraph.parent, False
        while above is not None:
            boxed, above = boxed or isinstance(above, inside), above.parent
        text = re.sub(r"\s+", " ", paragraph.astext()).strip()
        if not boxed and len(text) > 30:
            return text
    return ""


def cut(text: str, longest: int = LONGEST) -> str:
    if len(text) <= longest:
        return text
    sentence = text[: longest + 1].rfind(". ")
    if sentence > 60:
        return text[: sentence + 1]
    return text[:longest].rsplit(" ", 1)[0].rstrip(",;:") + "…"


def add_meta(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    book = app.config.html_title
    title = Markup(context.get("title", "")).striptags().replace("\xa0", " ") or book
    description = cut(lead(doctree)) if doctree is not None else ""
    if not description:
        description = f"{title}. A page of the book {book}: multi-interest recommendation, from scratch."
    front = pagename == app.config.root_doc
    full = f"{book}: multi-interest recommendation from scratch" if front else f"{title} · {book}"
    tags = [
        f"<title>{escape(full)}</title>",
        f'<meta name="description" content="{escape(description)}">',
        f'<meta property="og:title" content="{escape(title)}">',
        f'<meta property="og:description" content="{escape(description)}">',
        f'<meta property="og:type" content="{"book" if front else "article"}">',
        f'<meta property="og:site_name" content="{escape(book)}">',
        '<meta name="twitter:card" content="summary">',
    ]
    site = app.config.mi_site_url
    if site and doctree is not None:
        address = site.rstrip("/") + "/" + ("" if front else short(pagename) + ".html")
        tags += [
            f'<link rel="canonical" href="{escape(address)}">',
            f'<meta property="og:url" content="{escape(address)}">',
        ]
    context["mi_meta"] = "\n".join(tags)
    context["mi_links"] = links(app, pagename)


def links(app: Sphinx, pagename: str) -> list[tuple[str, str]]:
    """Where else a chapter can be read and run; addresses outside this site only when the repository's is known."""
    if not pagename.startswith("notebooks/"):
        return []
    source = f"{pagename}.ipynb"
    found = [("Download the notebook", f"../_sources/{source}")]
    repository = app.config.mi_repository_url.rstrip("/")
    if repository.startswith("https://github.com/"):
        name = repository.removeprefix("https://github.com/")
        found += [
            ("Open in Colab", f"https://colab.research.google.com/github/{name}/blob/main/{source}"),
            ("Open in Binder", f"https://mybinder.org/v2/gh/{name}/main?labpath={source}"),
            ("Source", f"{repository}/blob/main/{source}"),
        ]
    return found


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_meta, priority=600)
