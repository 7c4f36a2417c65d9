"""Charts behind stills: each chart becomes a file of its own, and Plotly's bundle lies beside them for whoever asks.

A notebook's output holds the chart's numbers beside its still. They would weigh on every page, so they leave it here
and come back at the press of the button. The bundle is that of the installed plotly package; none of it is kept here.
"""

from __future__ import annotations

import hashlib
import html
import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from .assets import shrink

CHART = re.compile(r'(<div class="mi-explore" data-shape="[\d,]+" )data-explore="([^"]*)"')


def target(app: Sphinx) -> Path:
    folder = Path(app.outdir) / "_static" / "explore"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def package(app: Sphinx) -> Path:
    return Path(app.srcdir) / "mi_lite"


def add_charts(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    def store(found: re.Match[str]) -> str:
        text = html.unescape(found[2]).encode()
        name = hashlib.sha256(text).hexdigest()[:12] + ".json"
        (target(app) / name).write_bytes(text)
        return f'{found[1]}data-explore="{address(name)}"'

    def address(name: str) -> str:
        return str(context["pathto"](f"_static/explore/{name}", resource=True))

    body, count = CHART.subn(store, context.get("body") or "")
    if count:
        context["body"] = body + f'<script type="module" src="{address("explore_page.js")}"></script>'
        context["mi_css"] += shrink((package(app) / "explore.css").read_text(encoding="utf-8"))


def write_files(app: Sphinx, exception: Exception | None) -> None:
    """The scripts and the bundle, and no chart that no page shows any more."""
    if exception or app.builder.format != "html":
        return
    folder, pages = target(app), Path(app.outdir).rglob("*.html")
    shown = {name for page in pages for name in re.findall(r"explore/(\w+\.json)", page.read_text(encoding="utf-8"))}
    for path in folder.glob("*.json"):
        if path.name not in shown:
            path.unlink()
    if not shown:
        shutil.rmtree(folder)
        return
    found = importlib.util.find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        raise ExtensionError("Figures with an explore button need the package plotly: pip install plotly")
    bundle = Path(found.submodule_search_locations[0], "package_data", "plotly.min.js")
    for path in (bundle, package(app) / "explore.js", Path(__file__).with_name("explore_page.js")):
        shutil.copyfile(path, folder / path.name)


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_charts, priority=760)  # after the page's own scripts and styles are settled
    app.connect("build-finished", write_files, priority=960)  # after what no page asks for was removed
