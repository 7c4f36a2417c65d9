"""The contents beside every page: chapters with their numbers, and under the page being read its sections."""

from __future__ import annotations

import re
from typing import Any

from bs4 import BeautifulSoup
from sphinx.application import Sphinx

from .math import chapter_of


def contents(context: dict[str, Any], pagename: str) -> str:
    tree = context["toctree"](collapse=False, titles_only=True, maxdepth=2, includehidden=True) or ""
    soup = BeautifulSoup(tree, "html.parser")
    for link in soup.find_all("a"):
        here = "current" in link.get("class", []) and link.get("href") == "#"
        number = chapter_of(pagename) if here else ""
        found = re.search(r"(?:^|/)(\d+)_[^/]*\.html$", link["href"])
        if found:
            number = str(int(found.group(1)))
        if number:
            mark = soup.new_tag("span", attrs={"class": "mi-num"})
            mark.string = number
            link.insert(0, mark)
        if here:
            link["aria-current"] = "page"
            sections = BeautifulSoup(context.get("toc") or "", "html.parser").select_one("ul > li > ul")
            if sections:
                for deeper in sections.select("ul ul, li > ul"):
                    deeper.decompose()
                sections["class"] = "mi-sections"
                link.insert_after(sections)
        del link["class"]
    for item in soup.find_all("li"):
        del item["class"]
    for caption in soup.select("p.caption"):
        del caption["role"]  # a heading without a level
    return str(soup)


def add_contents(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    context["mi_contents"] = contents(context, pagename)
    context["mi_chapter"] = chapter_of(pagename)


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_contents, priority=600)
