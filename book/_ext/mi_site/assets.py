"""One stylesheet inside each page, one script beside it, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from .listings import colours, simplify_all

# Runs before the first paint, so that a chosen theme does not flash. The only inline script of the site.
THEME_SCRIPT = 'try{document.body.dataset.theme=localStorage.getItem("theme")||"auto"}catch{}'

DARK = 'body[data-theme="dark"]'
SYSTEM_DARK = 'body:not([data-theme="light"])'


def policy() -> str:
    digest = base64.b64encode(hashlib.sha256(THEME_SCRIPT.encode()).digest()).decode()
    return (
        f"default-src 'self'; script-src 'self' 'sha256-{digest}'; style-src 'self'; style-src-attr 'unsafe-inline'; "
        "style-src-elem 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'self'; "
        "form-action 'self'"
    )


def palette(root: Path) -> str:
    """CSS variables from the file that the package's figures read too."""
    colours = json.loads((root / "mi_lite" / "palette.json").read_text(encoding="utf-8"))
    light, dark = (
        "".join(f"--mi-{name}:{value};" for name, value in colours[mode].items()) for mode in ("light", "dark")
    )
    return (
        f"body{{{light}}}\n@media not print{{{DARK}{{{dark}}}\n"
        f"@media (prefers-color-scheme:dark){{{SYSTEM_DARK}{{{dark}}}}}}}\n"
    )


def code_colours(light: str, dark: str) -> str:
    return (
        colours(light, ".highlight")
        + "@media not print{"
        + colours(dark, f"{DARK} .highlight")
        + "@media (prefers-color-scheme:dark){"
        + colours(dark, f"{SYSTEM_DARK} .highlight")
        + "}}\n"
    )


def shrink(css: str) -> str:
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    css = re.sub(r"\s+", " ", css)
    return re.sub(r"\s*([{};,>])\s*", r"\1", css).replace(";}", "}").strip()


@lru_cache(maxsize=8)
def stylesheet(root: Path, light: str, dark: str, with_math: bool, static: str) -> str:
    folder = root / "book" / "_static"
    parts = [palette(root), (folder / "book.css").read_text(encoding="utf-8"), code_colours(light, dark)]
    if with_math:
        parts.append(
            (folder / "katex" / "katex.css").read_text(encoding="utf-8").replace("url(fonts/", "url(katex/fonts/")
        )
    css = shrink("\n".join(parts))
    if "</" in css:
        raise ExtensionError("The stylesheet holds '</', which would end its element on the page.")
    return re.sub(r"url\((?!data:)([^)]+)\)", lambda m: f"url({static}{m.group(1)})", css)


def add_assets(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    with_math = doctree is not None and any(
        True for kind in (nodes.math, nodes.math_block) for _ in doctree.findall(kind)
    )
    # Extensions that come with the builder add scripts for live code; the policy forbids them, nothing here uses them.
    body = re.sub(r"<script\b.*?</script>\s*", "", context.get("body") or "", flags=re.S)
    body = simplify_all(body)
    for scrolls in ('<div class="table-wrapper', '<figure class="mi-figure'):
        body = body.replace(scrolls, scrolls.replace(" class", ' tabindex="0" class'))
    context["body"] = body
    static = context["pathto"]("_static/", resource=True)
    css = stylesheet(Path(app.srcdir), app.config.pygments_style, app.config.mi_dark_style, with_math, static)
    # No font is preloaded: text shows at once in a fallback of the same width, a second sooner on a slow phone.
    context.update(mi_css=css, mi_policy=policy(), mi_theme_script=THEME_SCRIPT)


def setup(app: Sphinx) -> None:
    app.add_config_value("mi_dark_style", "a11y-dark", "html", types=[str])
    app.connect("html-page-context", add_assets, priority=700)
