"""Executed notebooks are kept until something they depend on changes.

jupyter-cache compares the notebook's own cells only. A change in the package or in a stored result would leave a page
with old numbers, so the cache's folder is named after a hash of those files, and the same hash makes Sphinx read again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

PACKAGE = ("mi_lite/**/*.py", "mi_lite/**/*.json", "mi_lite/**/*.js")  # the stored results are in there
OTHERS = ("requirements.txt",)


def fingerprint(root: Path, patterns: tuple[str, ...] = PACKAGE + OTHERS) -> str:
    """Hash of every file that a notebook's output may depend on, besides the notebook."""
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def choose_cache(app: Sphinx, config: Config) -> None:
    root = Path(app.srcdir)
    config.mi_fingerprint = fingerprint(root)
    config.mi_extension = fingerprint(root, ("book/_ext/**/*.py",))  # pages are read, not executed, again
    folder = root / "_build" / ".notebook_cache" / config.mi_fingerprint
    config.nb_execution_cache_path = str(folder)
    if folder.parent.is_dir():
        earlier = sorted((p for p in folder.parent.iterdir() if p != folder), key=lambda p: p.stat().st_mtime)
        for stale in earlier[:-2]:
            shutil.rmtree(stale, ignore_errors=True)
    # The kernel imports this clone's package, whatever else is installed.
    os.environ["PYTHONPATH"] = os.pathsep.join(p for p in (str(root), os.environ.get("PYTHONPATH")) if p)


def setup(app: Sphinx) -> None:
    app.add_config_value("mi_fingerprint", "", "env", types=[str])
    app.add_config_value("mi_extension", "", "env", types=[str])
    app.connect("config-inited", choose_cache, priority=100)
