"""Live figures: their modules beside the pages, the script that wakes them, and their look.

A notebook's output already holds the whole figure as HTML, with its picture and its state. Here only the files are
added that make it move: the very files of the package, unchanged.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from .assets import shrink

MARK = 'class="mi-live"'
# A section laid out only as it comes near would keep its figure from being found, by a script or a shared address.
FOUND = "article > section > section:has(.mi-live) { content-visibility: visible; }"


def folder(app: Sphinx) -> Path:
    return Path(app.srcdir) / "mi_lite" / "explorables"


def add_live(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    body = context.get("body") or ""
    if MARK not in body:
        return
    script = context["pathto"]("_static/live/mount.js", resource=True)
    context["body"] = body + f'<script type="module" src="{script}"></script>'
    context["mi_css"] += shrink((folder(app) / "kit.css").read_text(encoding="utf-8") + FOUND)


def write_modules(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / "live"
    target.mkdir(parents=True, exist_ok=True)
    for path in (*folder(app).glob("*.js"), Path(__file__).with_name("mount.js")):
        shutil.copyfile(path, target / path.name)


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_live, priority=750)  # after the page's own scripts and styles are settled
    app.connect("build-finished", write_modules, priority=950)  # after what no page asks for was removed
