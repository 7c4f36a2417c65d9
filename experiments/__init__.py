"""Stored experiments: what takes longer than a notebook may.

Each script answers one question. ``python -m experiments.NAME`` runs what is not stored yet, two runs at a time, and
keeps ``experiments/results/NAME.json`` up to date after every run, so it can be stopped and started again.
A chapter reads the file with `stored`. A test replays each experiment's *canary* (the first steps of one run) and
fails when the numbers moved: then the stored results no longer describe the code.

Budget: all of them together, 361 runs, took 7,500 s of a busy machine at half a core each, so about 35 minutes on two
idle cores. A run takes 2 to 40 s.
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

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / "results"


def stored(name: str) -> dict[str, Any]:
    """The stored results of an experiment: ``question``, ``command``, ``date``, ``versions``, ``runs``, ``canary``.

    Raises:
        FileNotFoundError: if the experiment was never run; the message says how to run it.
    """
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"no stored results of {name!r}; run: python -m experiments.{name}")
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def select(result: dict[str, Any], **config: Any) -> list[dict[str, Any]]:
    """The runs whose configuration agrees with all the given values, in the order of their seeds.

    Raises:
        ValueError: if there is none.
    """
    runs = [r for r in result["runs"] if all(r["config"].get(k) == v for k, v in config.items())]
    if not runs:
        raise ValueError(f"{result['name']} holds no run with {config}")
    return sorted(runs, key=lambda r: r["config"]["seed"])


def values(result: dict[str, Any], number: str, **config: Any) -> np.ndarray:
    """One number of each selected run, ``(seeds,)``."""
    return np.array([r["numbers"][number] for r in select(result, **config)])


def pack(hits: np.ndarray) -> str:
    """A boolean for each user as a short text."""
    return np.packbits(hits.astype(bool)).tobytes().hex()


def hits(result: dict[str, Any], **config: Any) -> np.ndarray:
    """``(seeds, users)`` 0 or 1: was the user's test film in the list?"""
    rows = [np.unpackbits(np.frombuffer(bytes.fromhex(r["hits"]), np.uint8)) for r in select(result, **config)]
    return np.stack(rows)[:, : result["users"]].astype(float)


@cache
def fingerprint() -> str:
    """Of the package's source as this process found it. A changed one only warns: the canary says if numbers moved."""
    digest = hashlib.sha256()
    for path in sorted((ROOT.parent / "mi_lite").rglob("*.py")):
        if path.name not in ("figures.py", "__init__.py"):
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
        return RESULTS / f"{self.name}.json"

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
            "users": self.users,
            "canary": canary,
        }
        text = json.dumps(result, indent=1)[:-2] + ',\n "runs": [\n'
        text += ",\n".join("  " + json.dumps(r) for r in runs) + "\n ]\n}\n"
        RESULTS.mkdir(exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_text(text)
        os.replace(part, self.path)


def _key(config: dict[str, Any]) -> str:
    return " ".join(f"{k}={v}" for k, v in config.items())


def _timed(run: Callable[[dict[str, Any]], dict[str, Any]], config: dict[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    result = run(config)
    return {**result, "seconds": round(time.perf_counter() - started, 1)}


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
