"""Checks the equation contracts, builds the site with the notebooks executed, and looks whether all that was promised
is there; the second time it executes only what changed.

python tools/book.py
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import yaml

try:
    from tools.environment import ROOT, environment_variables
except ImportError:  # run as a program: this folder is on the path, the project is not
    from environment import ROOT, environment_variables

SITE = ROOT / "_build" / "html"
BUILD = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
HIDDEN = {"remove-cell", "remove-output"}


def listed_pages(contents: dict) -> list[str]:
    """Every page that _toc.yml names."""
    inside = [*contents.get("parts", []), *contents.get("chapters", []), *contents.get("sections", [])]
    named = [str(contents[key]) for key in ("root", "file") if key in contents]
    return named + [page for part in inside for page in listed_pages(part)]


def promised_by(notebook: Path, live: dict[str, str]) -> tuple[int, set[str]]:
    """How many figures a notebook shows at the end of a cell, and which live ones it makes."""
    figures, names = 0, set()
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        tags = set(cell["metadata"].get("tags", []))
        if cell["cell_type"] != "code" or "exercise" in tags or HIDDEN & tags:
            continue
        code = "".join(cell["source"])
        names |= {file for kind, file in live.items() if re.search(rf"\b{kind}\(", code)}
        body = ast.parse(code).body
        call = body[-1].value if body and isinstance(body[-1], ast.Expr) else None
        figures += isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "show"
    return figures, names


def faults(root: Path, site: Path) -> list[str]:
    """What was promised and is not on the site, and what should not be there: one sentence each."""
    found = []
    pages = {}
    for name in listed_pages(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))):
        path = site / f"{name.removeprefix('book/')}.html"
        if path.exists():
            pages[name] = path.read_text(encoding="utf-8")
        else:
            found.append(f"The page {name} of _toc.yml was not built.")
    sources = sorted((root / "mi_lite" / "explorables").glob("*.py"))
    live = {
        kind: path.stem
        for path in sources
        for kind in re.findall(r"^class (\w+)\(Explorable\)", path.read_text(encoding="utf-8"), re.M)
    }
    contracts = json.loads((root / "_build" / "contracts.json").read_text(encoding="utf-8"))
    for name, text in pages.items():
        if "Traceback (most recent call last)" in text:
            found.append(f"A traceback stands on the page {name}.")
        if not name.startswith("notebooks/"):
            continue
        figures, figures_live = promised_by(root / f"{name}.ipynb", live)
        shown = text.count('class="mi-figure"')
        if shown < figures:
            found.append(f"The page {name} shows {shown} figures; its notebook makes {figures}.")
        for module in sorted(figures_live):
            if f'data-module="{module}"' not in text:
                found.append(f"The live figure {module} is not on the page {name}.")
        own = [row for row in contracts if f"notebooks/{row['notebook']}" == name]
        gone = [row["id"] for row in own if not row["passed"] or f'id="{row["id"]}"' not in text]
        marks = text.count('class="mi-checked"')
        if gone or marks != len(own):
            which = f": {', '.join(gone)}" if gone else ""
            found.append(f"The page {name} has {marks} checked equations; its notebook numbers {len(own)}{which}.")
    return found


def build() -> int:
    """Run the contracts, then Jupyter Book on the project; say where the site is."""
    missing = [name for name in ("_config.yml", "_toc.yml") if not (ROOT / name).exists()]
    if missing:
        print(f"There is no book to build: {', '.join(missing)} is missing.", file=sys.stderr)
        return 1
    start = time.monotonic()
    environment = environment_variables(Path(sys.prefix))
    if subprocess.run([sys.executable, "-m", "contracts"], cwd=ROOT, env=environment).returncode:
        print("\nThe book was not built: an equation's contract is missing or does not hold.", file=sys.stderr)
        return 1
    print("Building the book. The first time every notebook is executed, which takes a few minutes.", flush=True)
    command = [sys.executable, "-c", BUILD, "build", ".", "-W", "--keep-going"]
    status = subprocess.run(command, cwd=ROOT, env=environment).returncode
    page = SITE / "index.html"
    if status or not page.exists():
        print("\nThe book was not built: the lines above say why.", file=sys.stderr)
        return status or 1
    wrong = faults(ROOT, SITE)
    if wrong:
        print("\nThe book was built, but is not whole:", *wrong, sep="\n", file=sys.stderr)
        return 1
    print(f"\nBuilt in {time.monotonic() - start:.0f} s. Open {page.relative_to(ROOT)}, or run: make serve")
    return 0


if __name__ == "__main__":
    sys.exit(build())
