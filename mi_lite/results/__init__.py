"""The stored results of the book's experiments, and how to read them.

What takes longer than a notebook may is run by ``python -m experiments.NAME`` in a clone of the book, which keeps
``mi_lite/results/NAME.json`` up to date. The files travel with the package, so that a chapter runs wherever mi_lite is
installed. Each holds the question, the command, the date, the versions, and every run's configuration, numbers and
hits: which users had their test item in the list of 20.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["hits", "names", "pack", "select", "stored", "values"]

#: Where the files are.
FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """The experiments with stored results."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def stored(name: str) -> dict[str, Any]:
    """The stored results of an experiment: ``question``, ``command``, ``date``, ``versions``, ``runs``, ``canary``.

    Raises:
        FileNotFoundError: if the experiment was never run; the message says how to run it.
    """
    path = FOLDER / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(
            f"no stored results of {name!r}; there are: {', '.join(names())}. "
            f"A clone of the book makes them: python -m experiments.{name}"
        )
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
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
    """``(seeds, users)`` 0 or 1: was the user's test item in the list of 20?"""
    rows = [np.unpackbits(np.frombuffer(bytes.fromhex(r["hits"]), np.uint8)) for r in select(result, **config)]
    return np.stack(rows)[:, : result["users"]].astype(float)
