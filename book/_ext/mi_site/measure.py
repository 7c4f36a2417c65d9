"""How long each notebook computed and how much memory its kernel held, measured when the build executes it.

The numbers lie in the folder of the cached notebooks, under a hash of the notebook's code, and so live as long as the
outputs that they belong to.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from myst_nb.core.execute import cache as executor
from sphinx.application import Sphinx
from sphinx.config import Config

FILE = "measured.json"
EVERY_S = 0.05


class Meter(threading.Thread):
    """Watches the kernel that is started while it runs: its time, and the most memory it held."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seconds = self.mebibytes = 0.0
        self.done = threading.Event()

    def look(self) -> None:
        for process in psutil.Process().children(recursive=True):
            if any("ipykernel" in word for word in process.cmdline()):
                processor = process.cpu_times()
                # The lesser of both: waiting for a busy machine is not the notebook's own time.
                wall = time.time() - process.create_time()
                self.seconds = max(self.seconds, min(wall, processor.user + processor.system))
                self.mebibytes = max(self.mebibytes, process.memory_info().rss / 2**20)

    def run(self) -> None:
        while not self.done.wait(EVERY_S):
            try:
                self.look()
            except psutil.Error:  # the kernel has just ended
                continue


def key(notebook: Any) -> str:
    """A hash of a notebook's code."""
    code = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    text = "\0".join(source if isinstance(source, str) else "".join(source) for source in code)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def measured(folder: Path, notebook: Path) -> tuple[float, float] | None:
    """Seconds and MiB of a notebook's last execution; None where it was not measured."""
    path = folder / FILE
    numbers = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    found = numbers.get(key(json.loads(notebook.read_text(encoding="utf-8"))))
    return tuple(found) if found else None


def measuring(execute: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """The same execution of a notebook, measured."""

    def run(notebook: Any, *arguments: Any, **options: Any) -> Any:
        meter = Meter()
        meter.start()
        try:
            return execute(notebook, *arguments, **options)
        finally:
            meter.done.set()
            meter.join()
            path = folder / FILE
            numbers = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            numbers[key(notebook)] = round(meter.seconds, 1), round(meter.mebibytes)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")

    run.plain = execute  # type: ignore[attr-defined]
    return run


def watch(app: Sphinx, config: Config) -> None:
    execute = getattr(executor.single_nb_execution, "plain", executor.single_nb_execution)
    executor.single_nb_execution = measuring(execute, Path(config.nb_execution_cache_path))


def setup(app: Sphinx) -> None:
    app.connect("config-inited", watch, priority=200)  # after the cache's folder has its name
