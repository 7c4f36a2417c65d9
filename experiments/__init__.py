"""Stored experiments: what takes longer than a notebook may.

Each script answers one question. ``python -m experiments.NAME`` runs what is not stored yet, two runs at a time, and
keeps ``mi_lite/results/NAME.json`` up to date after every run, so it can be stopped and started again. The results are
part of the package, so that a chapter can read them (`mi_lite.results`) wherever mi_lite is installed. A test replays
each experiment's *canary* (the first steps of one run) and fails when the numbers moved: then the stored results no
longer describe the code.

Budget: all of them together, 610 runs, 40 minutes on two cores: the sum of the seconds that each run worked on its core
(``cpu_seconds``), which a busy machine doesn't stretch, halved. A test adds them up again; 45 minutes is the bound. One
run takes 1 to 48 seconds of a core.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mi_lite.results import FOLDER, stored

ROOT = Path(__file__).resolve().parent.parent
#: Parts of the package that no experiment's numbers can depend on: how things are drawn and how results are read.
NOT_MEASURED = {"figures.py", "palette.py", "explore.py", "__init__.py", "explorables", "exercises", "results"}


def measured_files() -> list[Path]:
    """The package's files that an experiment's numbers may depend on."""
    package = ROOT / "mi_lite"
    every = sorted(package.rglob("*.py"))
    return [path for path in every if NOT_MEASURED.isdisjoint(path.relative_to(package).parts)]


@cache
def fingerprint() -> str:
    """Of the package's source as this process found it. A changed one only warns: the canary says if numbers moved."""
    digest = hashlib.sha256()
    for path in measured_files():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One question: which configurations to run, and how to run one of them.

    ``run(config)`` returns ``{"numbers": {...}}`` and may add ``"hits"``; ``canary(config)`` returns a few numbers of
    the first steps within five seconds. Both must be top-level functions.
    """

    name: str
    question: str
    configs: list[dict[str, Any]]
    run: Callable[[dict[str, Any]], dict[str, Any]]
    canary: Callable[[dict[str, Any]], list[float]]
    users: int = 0

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.json"

    def main(self) -> None:
        """Run what is missing and store it."""
        result = stored(self.name) if self.path.exists() else {"runs": []}
        wanted = {_key(c): c for c in self.configs}
        runs = {_key(r["config"]): r for r in result["runs"]}
        runs = {k: r for k, r in runs.items() if k in wanted}  # a configuration that is no longer asked for goes
        missing = [c for k, c in wanted.items() if k not in runs]
        _one_thread()
        fingerprint()  # of the code that runs, whatever is edited meanwhile
        canary = {"config": self.configs[0], "numbers": self.canary(self.configs[0])}
        workers = int(os.environ.get("WORKERS", "2"))
        print(f"{self.name}: {len(runs)} runs stored, {len(missing)} to go, {workers} at a time", file=sys.stderr)
        started = time.perf_counter()
        with ProcessPoolExecutor(workers, initializer=_one_thread) as pool:
            futures = {pool.submit(_timed, self.run, c): c for c in missing}
            for done, future in enumerate(as_completed(futures), 1):
                config = futures[future]
                runs[_key(config)] = {"config": config, **future.result()}
                self._store([runs[k] for k in wanted if k in runs], canary)
                left = (time.perf_counter() - started) / done * (len(missing) - done)
                print(f"  {done}/{len(missing)}  {_key(config)}  about {left / 60:.0f} min left", file=sys.stderr)
            if not missing:
                self._store([runs[k] for k in wanted], canary)

    def _store(self, runs: list[dict[str, Any]], canary: dict[str, Any]) -> None:
        import sklearn
        import torch

        result = {
            "name": self.name,
            "question": self.question,
            "command": f"python -m experiments.{self.name}",
            "date": time.strftime("%Y-%m-%d"),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
                "scikit-learn": sklearn.__version__,
            },
            "fingerprint": fingerprint(),
            "seconds": round(sum(r["seconds"] for r in runs)),
            "cpu_seconds": round(sum(r["cpu_seconds"] for r in runs)),
            "users": self.users,
            "canary": canary,
        }
        text = json.dumps(result, indent=1)[:-2] + ',\n "runs": [\n'
        text += ",\n".join("  " + json.dumps(r) for r in runs) + "\n ]\n}\n"
        part = self.path.with_suffix(".part")
        part.write_text(text)
        os.replace(part, self.path)


def _key(config: dict[str, Any]) -> str:
    return " ".join(f"{k}={v}" for k, v in config.items())


def _timed(run: Callable[[dict[str, Any]], dict[str, Any]], config: dict[str, Any]) -> dict[str, Any]:
    """The run with what it cost: seconds on the clock, and seconds of a core, which a busy machine doesn't stretch."""
    started, worked = time.perf_counter(), time.process_time()
    result = run(config)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - worked
    return {**result, "seconds": round(seconds, 1), "cpu_seconds": round(cpu_seconds, 1)}


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
