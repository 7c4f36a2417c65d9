"""Builds the site, with the notebooks executed on real data; the second time only what changed.

python tools/book.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

try:
    from tools.environment import ROOT, environment_variables
except ImportError:  # run as a program: this folder is on the path, the project is not
    from environment import ROOT, environment_variables

SITE = ROOT / "_build" / "html"
BUILD = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"


def build() -> int:
    """Run Jupyter Book on the project; say where the site is."""
    missing = [name for name in ("_config.yml", "_toc.yml") if not (ROOT / name).exists()]
    if missing:
        print(f"There is no book to build: {', '.join(missing)} is missing.", file=sys.stderr)
        return 1
    start = time.monotonic()
    print("Building the book. The first time every notebook is executed, which takes a few minutes.", flush=True)
    command = [sys.executable, "-c", BUILD, "build", ".", "-W", "--keep-going"]
    status = subprocess.run(command, cwd=ROOT, env=environment_variables(Path(sys.prefix))).returncode
    page = SITE / "index.html"
    if status or not page.exists():
        print("\nThe book was not built: the lines above say why.", file=sys.stderr)
        return status or 1
    print(f"\nBuilt in {time.monotonic() - start:.0f} s. Open {page.relative_to(ROOT)}, or run: make serve")
    return 0


if __name__ == "__main__":
    sys.exit(build())
