"""What an exercise is made of: a task, a stub, a solution, hints, and the mistakes that it knows by name."""

from __future__ import annotations

import ast
import inspect
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Case = dict[str, Any]  #: the arguments of one call of an answer
Function = Callable[..., Any]


@dataclass(frozen=True)
class Mistake:
    """A wrong implementation and what to say to whoever wrote it, whatever the code looks like."""

    message: str  #: what is wrong, in the reader's terms and with named dimensions
    wrong: Function  #: takes what the solution takes


@dataclass(frozen=True)
class Property:
    """What is true of every right result, whatever the numbers."""

    message: str  #: what is said when it fails
    holds: Callable[[Case, Any], bool]  #: takes the arguments and the result


@dataclass(frozen=True)
class Exercise(ABC):
    """What every kind of exercise has. ``name`` is CHAPTER.NAME, and ``task`` is Markdown."""

    name: str
    title: str
    task: str
    hints: tuple[str, str, str]

    @property
    def chapter(self) -> str:
        """The chapter that the exercise belongs to."""
        return self.name.split(".", 1)[0]

    @abstractmethod
    def solution(self) -> str:
        """The solution as Markdown."""


@dataclass(frozen=True)
class Coding(Exercise):
    """A function to write or to mend.

    ``inputs`` and ``returns`` give shapes in letters (``"B T D"``; ``""`` for a number or an option); ``returns`` has
    one entry for each result, in order. ``cases()`` gives the calls on which an answer is compared with ``solve``.
    """

    stub: str
    solve: Function
    cases: Callable[[], list[Case]]
    inputs: Mapping[str, str]
    returns: Mapping[str, str]
    mistakes: tuple[Mistake, ...]
    properties: tuple[Property, ...] = ()
    differentiable: bool = True  #: a gradient must flow from the floating-point inputs to the results
    mend: bool = False  #: the stub is whole, with a fault in it

    def source(self) -> str:
        """The solution's code as a cell can hold it: under the stub's name, without annotations."""
        text = textwrap.dedent(inspect.getsource(self.solve))
        made = ast.parse(text).body[0]
        assert isinstance(made, ast.FunctionDef)
        for argument in made.args.args + made.args.kwonlyargs:
            argument.annotation = None
        body = text.splitlines()[made.body[0].lineno - 1 :]
        return "\n".join([f"def {made.name}({ast.unparse(made.args)}):", *body]) + "\n"

    def solution(self) -> str:
        """The code as Markdown."""
        return f"```python\n{self.source().rstrip()}\n```"


@dataclass(frozen=True)
class Parsons(Exercise):
    """Lines to put in order. ``lines`` maps a letter to its line, as they are shown; the answer is a word of letters.

    ``order`` is one right order; ``rules`` are all that a right order must keep: ``(before, after, why)``.
    """

    lines: Mapping[str, str]
    order: str
    rules: Sequence[tuple[str, str, str]]
    spare: Mapping[str, str]  #: letters of lines that belong nowhere, and why not

    def solution(self) -> str:
        """A right order and its code as Markdown."""
        code = "\n".join(self.lines[letter] for letter in self.order)
        return f"`{self.order}`\n\n```python\n{code}\n```"


@dataclass(frozen=True)
class Research(Exercise):
    """A question without one right answer; ``rubric`` says what a good answer holds, with points."""

    rubric: Sequence[tuple[int, str]]

    def solution(self) -> str:
        """The rubric as Markdown."""
        return "\n".join(f"- {points} point{'s' * (points > 1)}: {text}" for points, text in self.rubric)
