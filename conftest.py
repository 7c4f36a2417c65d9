"""How nbval compares notebooks here: text strictly, rich outputs not at all, and each within its time and memory.

`pytest --nbval notebooks` runs every cell. Stored notebooks keep text only (tools/notebooks.py), so the rich types are
left out of the comparison, each by its name: a type that isn't named here must match. After its last cell each
notebook has one more test, `bounds`: how long it took and how much memory its kernel held at most.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tools.environment import use_environment_variables

SECONDS, MEBIBYTES = 40.0, 1024.0
RICH = (
    "text/html",
    "text/latex",
    "text/markdown",
    "image/png",
    "image/jpeg",
    "image/svg+xml",
    "application/json",
    "application/javascript",
    "application/pdf",
    "application/vnd.plotly.v1+json",
    "application/vnd.jupyter.widget-view+json",
    "application/vnd.jupyter.widget-state+json",
)
meters = pytest.StashKey[dict]()


class Meter(threading.Thread):
    """Watches one kernel: wall time, processor time, and the most memory it held, looked at 20 times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process, self.start_time = psutil.Process(pid), time.monotonic()
        self.seconds = self.mebibytes = 0.0
        self.done = threading.Event()

    def look(self) -> None:
        processor = self.process.cpu_times()
        wall = time.monotonic() - self.start_time
        # The lesser of the two: waiting for a busy machine, or for a first download, is not the notebook's own time.
        self.seconds = min(wall, processor.user + processor.system)
        self.mebibytes = max(self.mebibytes, self.process.memory_info().rss / 2**20)

    def run(self) -> None:
        while not self.done.wait(0.05):
            try:
                self.look()
            except psutil.Error:
                return


class Bounds(pytest.Item):
    """The last test of a notebook: it stayed within its time and its memory."""

    def runtest(self) -> None:
        meter = self.config.stash[meters][self.parent.nodeid]
        meter.look()
        meter.done.set()
        limit = float(os.environ.get("NOTEBOOK_SECONDS", SECONDS))
        assert meter.seconds <= limit, f"took {meter.seconds:.1f} s; a notebook may take {limit:.0f} s"
        assert meter.mebibytes <= MEBIBYTES, f"held {meter.mebibytes:.0f} MiB; a notebook may hold {MEBIBYTES:.0f} MiB"

    def repr_failure(self, excinfo: pytest.ExceptionInfo) -> str:
        return f"{self.parent.path.name} {excinfo.value}"

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self.path.name}::bounds"


def pytest_configure(config: pytest.Config) -> None:
    if config.option.nbval:
        use_environment_variables(Path(sys.prefix))  # as when the notebooks were stored
    config.stash[meters] = {}


def pytest_collectstart(collector: pytest.Collector) -> None:
    if isinstance(collector, IPyNbFile):
        collector.skip_compare += RICH


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put `bounds` behind each notebook's last cell."""
    ordered: list[pytest.Item] = []
    for item, following in zip(items, [*items[1:], None], strict=True):
        ordered.append(item)
        if isinstance(item, IPyNbCell) and (following is None or following.parent is not item.parent):
            ordered.append(Bounds.from_parent(item.parent, name="bounds"))
    items[:] = ordered


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item):
    result = yield
    if isinstance(item, IPyNbCell) and item.parent.nodeid not in item.config.stash[meters]:
        meter = item.config.stash[meters][item.parent.nodeid] = Meter(item.parent.kernel.km.provisioner.pid)
        meter.start()
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[meters]:
        terminalreporter.section("notebooks")
        for name, meter in config.stash[meters].items():
            terminalreporter.write_line(f"{meter.seconds:6.1f} s {meter.mebibytes:6.0f} MiB  {name}")
