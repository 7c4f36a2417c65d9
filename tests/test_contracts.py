"""Every numbered equation has a contract, and every contract holds (see ``contracts/``)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import contracts
from contracts import Chapter, Contract

EVERY = contracts.load()


def test_every_numbered_equation_has_a_contract() -> None:
    without = [f"{name} ({notebook})" for name, (notebook, _) in contracts.equations().items() if name not in EVERY]
    assert not without, f"no contract for {', '.join(without)}; CONTRIBUTING.md says how to add one"
    assert len(EVERY) >= 45


@pytest.mark.parametrize("name", EVERY)
def test_contract(name: str) -> None:
    EVERY[name].run()


def test_sentences_and_mistakes_are_told_apart() -> None:
    sentences = [one.sentence for one in EVERY.values()]
    assert len(set(sentences)) == len(sentences)
    for one in EVERY.values():
        assert one.sentence.endswith(".") and 30 < len(one.sentence) < 260, f"{one.id}: {one.sentence}"
        assert one.mistake and len(one.mistake) < 120, f"{one.id}: what the wrong implementation does"


def test_a_contract_uses_its_chapters_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every contract calls at least one function of its chapter, so none compares mi_lite with itself."""
    for row in contracts.outcomes():
        assert row["passed"] and row["chapter"], row


def half(x: float) -> float:
    """Halves."""
    return x / 2


@pytest.mark.parametrize(
    ("package", "chapter", "wrong", "message"),
    [
        (half, lambda x: 2 * x, half, "eq-squash does not hold for mi_lite"),
        (lambda x: 2 * x, half, half, "eq-squash does not hold for the chapter's own code"),
        (lambda x: 2 * x, lambda x: 2 * x, lambda x: 2 * x, "eq-squash holds for an implementation that is wrong"),
        (lambda x: x.missing, lambda x: 2 * x, half, "AttributeError"),
    ],
)
def test_a_broken_contract_says_what_is_broken(
    package: Callable[[Any], Any], chapter: Callable[[Any], Any], wrong: Callable[[Any], Any], message: str
) -> None:
    def doubles(function: Callable[[float], float]) -> None:
        assert function(3.0) == 6.0

    with pytest.raises(AssertionError, match=message):
        Contract("eq-squash", "It doubles.", doubles, chapter, package, wrong, "").run()


def write_notebook(folder: Path, *cells: tuple[str, list[str]]) -> None:
    stored = [{"cell_type": "code", "metadata": {"tags": tags}, "source": source} for source, tags in cells]
    (folder / "09_made_up.ipynb").write_text(json.dumps({"cells": stored}), encoding="utf-8")


def test_code_is_taken_out_of_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "NOTEBOOKS", tmp_path)
    write_notebook(
        tmp_path,
        ("import math\nfrom nowhere import nothing\nprint(1 / 0)", []),
        ("def twice(x):\n    return 2 * x\n\n\ndef grown(x):\n    return twice(math.exp(x))", []),
        ("def twice(x):\n    return None\n\ndef stub(x):\n    return None", ["exercise"]),
    )
    chapter = Chapter("09_made_up")
    assert chapter.grown(0.0) == 2.0  # nothing else of the notebook ran: no division by zero, no import of `nowhere`
    assert list(chapter.used) == ["grown"]
    with pytest.raises(ValueError, match="defines no function stub"):
        chapter.stub(1)
    write_notebook(tmp_path, ("def twice(x):\n    return 2 * x", []), ("def twice(x):\n    return x + x", []))
    with pytest.raises(ValueError, match="defines twice twice"):
        Chapter("09_made_up").twice(1)


def test_registering_refuses_what_is_not_whole() -> None:
    whole = dict(chapter=half, package=half, wrong=half)
    for id, sentence, changed, message in (
        ("eq-none", "It halves.", {}, "no numbered equation"),
        ("eq-squash", "It halves.", {}, "has a contract already"),
    ):
        with pytest.raises(ValueError, match=message):
            contracts.contract(id, sentence, **(whole | changed))


@pytest.mark.parametrize(
    "changed", [{"package": None}, {"chapter": None}, {"wrong": lambda x: x}, {"alone": "because"}, {"sentence": ""}]
)
def test_registering_refuses_missing_parts(changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "CONTRACTS", {})
    parts = dict(sentence="It halves.", chapter=half, package=half, wrong=half) | changed
    with pytest.raises(ValueError, match="eq-squash needs"):
        contracts.contract("eq-squash", **parts)


def test_an_equation_without_a_contract_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    one = next(iter(EVERY.values()))
    monkeypatch.setattr(contracts, "load", lambda: {one.id: one})
    rows = contracts.outcomes()
    assert [row["id"] for row in rows] == list(contracts.equations())
    assert [row["id"] for row in rows if row["passed"]] == [one.id]
    assert all("has no contract" in row["error"] for row in rows if not row["passed"])


def test_the_command_writes_the_outcome(root: Path, tmp_path: Path) -> None:
    """`python -m contracts` in a copy whose chapter is broken: the file says so, and so does the exit status."""
    copy = tmp_path / "copy"
    (copy / "notebooks").mkdir(parents=True)
    for name in ("contracts", "mi_lite"):
        (copy / name).mkdir()
        for path in (root / name).rglob("*.py"):
            target = copy / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    source = (root / "notebooks" / "02_squash.ipynb").read_text(encoding="utf-8")
    right = "return 2 * n / (1 + n**2) ** 2, n / (1 + n**2)"
    assert right in source
    (copy / "notebooks" / "02_squash.ipynb").write_text(
        source.replace(right, "return 2 * n / (1 + n**2) ** 2, n / (2 + n**2)"), encoding="utf-8"
    )
    done = subprocess.run([sys.executable, "-m", "contracts"], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 1 and "eq-squash-slopes does not hold for the chapter's own code" in done.stderr
    rows = {row["id"]: row for row in json.loads((copy / "_build" / "contracts.json").read_text(encoding="utf-8"))}
    assert [name for name, row in rows.items() if not row["passed"]] == ["eq-squash-slopes"]
    assert rows["eq-squash"]["test"] == "tests/test_contracts.py::test_contract[eq-squash]"


def test_mistakes_may_stand_on_any_object() -> None:
    wrong = SimpleNamespace(__doc__="Forgets  the\n    half.")
    assert Contract("eq-squash", "", half, half, half, wrong, "").mistake == "Forgets the half"
