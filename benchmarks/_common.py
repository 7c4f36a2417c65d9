"""What the benchmarks share: alternating runs, peak memory, and a result as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
INSTALL = ".venv/bin/pip install --no-deps --target .venv/bench -r benchmarks/requirements.txt"


def peer_is_installed() -> bool:
    """Whether torch-rechub can be imported, if need be from the folder that `INSTALL` makes."""
    folder = str(ROOT / ".venv" / "bench")
    if folder not in sys.path:
        sys.path.append(folder)  # last: the book's own packages win
    return find_spec("torch_rechub") is not None


def alternate(contestants: Mapping[str, Callable[[], Any]], runs: int, warm_up: int = 3) -> dict[str, list[float]]:
    """Seconds of each run, all contestants in turn, so that a slow minute of the machine falls on all of them.

    The order turns round from one turn to the next.
    """
    for _ in range(warm_up):
        for run in contestants.values():
            run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for _ in range(runs):
        for name in order:
            start = time.perf_counter()
            contestants[name]()
            seconds[name].append(time.perf_counter() - start)
        order.reverse()
    return seconds


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """Ratio of the medians, and the quartiles of the ratio turn by turn."""
    turns = [a / b for a, b in zip(above, below, strict=True)]
    low, _, high = statistics.quantiles(turns, n=4)
    return {
        "of_medians": statistics.median(above) / statistics.median(below),
        "first_quartile": low,
        "third_quartile": high,
    }


def peak_memory() -> float:
    """The most memory this process has held so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: ru_maxrss would also count the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS: bytes


def in_a_process_of_its_own(module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Run ``python -m module arguments`` and return the JSON of its last line."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)} stopped with {done.returncode}:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def machine() -> dict[str, Any]:
    """What the numbers depend on besides the code."""
    packages = {}
    for name in ("torch", "numpy", "torch-rechub"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        models = [
            line.split(":", 1)[1] for line in information.read_text().splitlines() if line.startswith("model name")
        ]
        processor = models[0].strip() if models else processor
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": processor,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "packages": packages,
    }


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as columns; the first row is the head, the first column is aligned to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def store(name: str, result: Mapping[str, Any]) -> None:
    """Write benchmarks/results/NAME.json."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)
    print(f"\nwritten: {path.relative_to(ROOT)}")
