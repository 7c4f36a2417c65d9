"""Equation contracts: what each numbered equation of the book promises, held to every code that computes it.

A contract names an equation by its id, says one property in plain words, and has a function that asserts the property
of an implementation. That function runs three times: on the package's implementation and on the chapter's own, which is
taken out of the notebook and not typed again, it must pass; on a stored wrong implementation it must fail. So a
contract is known to be able to fail. There is a file for each chapter, with the chapter's name.

``python -m contracts`` runs all of them and writes the outcome to ``_build/contracts.json``. `make book` does so before
it builds, and the marks beside the equations are made from that file; ``tests/test_contracts.py`` runs them as tests.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
LABEL = re.compile(r"\$\$[ \t]*\((eq-[\w-]+)\)[ \t]*$", re.MULTILINE)
TEST = "tests/test_contracts.py::test_contract[{id}]"

close = torch.testing.assert_close


# ---------------------------------------------------------------------------------------------- code out of a notebook


class Own:
    """A function of a chapter, by name. It is looked up when it is called, so that a name that is gone fails a test."""

    def __init__(self, chapter: Chapter, name: str) -> None:
        self.chapter, self.name = chapter, name

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.chapter.used[self.name] = None
        return self.chapter.function(self.name)(*args, **options)


class Chapter:
    """The functions that a notebook defines, without its exercises: ``Chapter("02_squash").capsule``."""

    def __init__(self, name: str) -> None:
        self.path = NOTEBOOKS / f"{name}.ipynb"
        self.used: dict[str, None] = {}  # names, in the order in which they were called
        self._made: dict[str, Callable[..., Any]] = {}

    def __getattr__(self, name: str) -> Own:
        if name.startswith("_"):
            raise AttributeError(name)
        return Own(self, name)

    def statements(self) -> Iterator[ast.stmt]:
        """The outermost statements of all code cells, without the exercises'."""
        for cell in json.loads(self.path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code" and "exercise" not in cell["metadata"].get("tags", []):
                yield from ast.parse("".join(cell["source"])).body

    def function(self, name: str) -> Callable[..., Any]:
        """One function, with the imports and the other functions that it needs, and nothing else of the notebook."""
        if name not in self._made:
            functions: dict[str, ast.stmt] = {}
            imports: dict[str, ast.stmt] = {}
            for statement in self.statements():
                if isinstance(statement, ast.FunctionDef):
                    if statement.name in functions and statement.name == name:
                        raise ValueError(f"{self.path.name} defines {name} twice; a contract needs one definition")
                    functions[statement.name] = statement
                elif isinstance(statement, ast.Import | ast.ImportFrom):
                    for alias in statement.names:
                        imports[alias.asname or alias.name.partition(".")[0]] = statement
            if name not in functions:
                raise ValueError(f"{self.path.name} defines no function {name}, which a contract asks for")
            needed, todo = {}, [name]
            while todo:
                statement = functions.get(todo[-1]) or imports.get(todo[-1])
                found = todo.pop()
                if statement is None or found in needed:
                    continue
                needed[found] = statement
                if isinstance(statement, ast.FunctionDef):
                    todo += [node.id for node in ast.walk(statement) if isinstance(node, ast.Name)]
            body = sorted({id(s): s for s in needed.values()}.values(), key=lambda s: isinstance(s, ast.FunctionDef))
            names: dict[str, Any] = {}
            exec(compile(ast.Module(body, type_ignores=[]), self.path.name, "exec"), names)
            self._made[name] = names[name]
        return self._made[name]


@cache
def equations() -> dict[str, tuple[str, str]]:
    """Every numbered equation: id → (notebook, number), in the order of the book."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        for place, name in enumerate(LABEL.findall(text), start=1):
            found[name] = path.stem, f"{int(path.stem.partition('_')[0])}.{place}"
    return found


# ----------------------------------------------------------------------------------------------------------- contracts


@dataclass(frozen=True)
class Contract:
    """What one equation promises; see the module."""

    id: str
    sentence: str
    holds: Callable[[Any], None]
    chapter: Any
    package: Any
    wrong: Any
    alone: str  # why the package has no code of this equation; "" where it has

    def run(self) -> None:
        """Hold the package and the chapter to the property, and see the wrong implementation fail.

        Raises:
            AssertionError: where one of them doesn't do what it should; the message says which.
        """
        for who, implementation in (("mi_lite", self.package), ("the chapter's own code", self.chapter)):
            if implementation is None:
                continue
            torch.manual_seed(0)
            try:
                self.holds(implementation)
            except Exception as error:
                raise AssertionError(f"{self.id} does not hold for {who}: {type(error).__name__}: {error}") from error
        try:
            self.holds(self.wrong)
        except AssertionError:
            return
        raise AssertionError(f"{self.id} holds for an implementation that is wrong on purpose: {self.mistake}")

    @property
    def mistake(self) -> str:
        """What the wrong implementation does, in words."""
        return " ".join((self.wrong.__doc__ or "").split()).rstrip(".")


CONTRACTS: dict[str, Contract] = {}


def contract(
    id: str, sentence: str, *, chapter: Any, package: Any, wrong: Callable[..., Any], alone: str = ""
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a contract; the decorated function asserts the property of the implementation it is given.

    Args:
        id: of the equation, as it stands in the notebook.
        sentence: the property, one sentence in plain words.
        chapter: the chapter's own code, from a `Chapter`.
        package: the same of mi_lite; None where it has no such code, and ``alone`` says why.
        wrong: an implementation with one mistake; its docstring says which.
        alone: see ``package``.

    Raises:
        ValueError: for an id that no equation has or that has a contract already, or a part that is missing.
    """
    if id not in equations():
        raise ValueError(f"no numbered equation has the id {id!r}")
    if id in CONTRACTS:
        raise ValueError(f"{id} has a contract already")
    if (package is None) != bool(alone) or chapter is None or not getattr(wrong, "__doc__", None) or not sentence:
        raise ValueError(
            f"{id} needs a sentence, both codes (or a reason why mi_lite has none) and a described mistake"
        )

    def register(holds: Callable[[Any], None]) -> Callable[[Any], None]:
        CONTRACTS[id] = Contract(id, sentence, holds, chapter, package, wrong, alone)
        return holds

    return register


def load() -> dict[str, Contract]:
    """All contracts, in the order of the equations."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        name = path.stem.partition("_")[2]
        if (Path(__file__).parent / f"{name}.py").exists():
            importlib.import_module(f"contracts.{name}")
    return {name: CONTRACTS[name] for name in equations() if name in CONTRACTS}


def outcomes() -> list[dict[str, Any]]:
    """Run every contract; for each equation what was promised and how it went."""
    contracts, rows = load(), []
    for name, (notebook, number) in equations().items():
        row: dict[str, Any] = {"id": name, "notebook": notebook, "number": number, "passed": False}
        rows.append(row)
        if name not in contracts:
            row["error"] = f"{name} ({notebook}) has no contract"
            continue
        one, start, error = contracts[name], time.perf_counter(), None
        used = importlib.import_module(f"contracts.{notebook.partition('_')[2]}").CHAPTER.used
        used.clear()
        try:
            one.run()
        except AssertionError as failure:
            error = str(failure)
        row |= {
            "sentence": one.sentence,
            "passed": error is None,
            "test": TEST.format(id=name),
            "seconds": round(time.perf_counter() - start, 3),
            "package": one.package is not None,
            "alone": one.alone,
            "chapter": list(used),
            "mistake": one.mistake,
        }
        if error:
            row["error"] = error
    return rows


# ------------------------------------------------------------------------------------------------------- small helpers


def draw(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    """Normal numbers, the same each time, in double precision."""
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unsquash(v: Tensor) -> Tensor:
    """The vector whose squash this is: a length m came from √(m / (1 − m))."""
    m = v.norm(dim=-1, keepdim=True)
    return v / m * (m / (1 - m)).sqrt()
