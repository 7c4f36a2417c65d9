"""Exercises with checks that say what went wrong.

    from mi_lite.exercises import check, hint, solution

    check("dynamic_routing.weights", weights)   # what is right or wrong with your function, in words
    hint("dynamic_routing.weights")             # the next of three hints
    solution("dynamic_routing.weights")         # a solution

Needs torch alone: no account, no network.
"""

from __future__ import annotations

import difflib
from typing import Any

from mi_lite.exercises import diagnosis
from mi_lite.exercises.forms import Coding, Exercise, Mistake, Parsons, Property, Research
from mi_lite.exercises.report import Report

__all__ = ["Coding", "Exercise", "Mistake", "Parsons", "Property", "Report", "Research", "check", "find", "hint",
           "names", "solution"]  # fmt: skip

_shown: dict[str, int] = {}  # how many hints this session has seen of each exercise


class Text(str):
    """Markdown that a notebook renders."""

    def _repr_markdown_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return str(self)


def _every() -> dict[str, Exercise]:
    from mi_lite.exercises import dynamic_routing, mind, one_user_many_interests, squash

    chapters = (one_user_many_interests, squash, dynamic_routing, mind)
    return {exercise.name: exercise for chapter in chapters for exercise in chapter.EXERCISES}


def names(chapter: str | None = None) -> list[str]:
    """The names of all exercises, or of one chapter's, in the order of the book."""
    return [name for name in _every() if chapter in (None, name.split(".", 1)[0])]


def find(name: str) -> Exercise:
    """An exercise by name.

    Raises:
        ValueError: for a name that no exercise has; the message offers the nearest one.
    """
    every = _every()
    if name not in every:
        near = difflib.get_close_matches(str(name), every, 1)
        offer = f"did you mean {near[0]!r}?" if near else f"the exercises are {', '.join(every)}"
        raise ValueError(f"no exercise is called {name!r}; {offer}")
    return every[name]


def check(name: str, answer: Any = None) -> Report:
    """Judge an answer by what it computes and say what is wrong with it.

    Args:
        name: the exercise, ``"dynamic_routing.weights"``.
        answer: a function; for lines to put in order, a word of letters; for a research question, nothing.

    Returns:
        A `Report`: it prints what there is to say, and is True in a condition only for a right answer. An answer that
        runs for more than 5 seconds is stopped (not on Windows: the report says so).

    Raises:
        ValueError: for an unknown name.
    """
    exercise = find(name)
    if isinstance(exercise, Coding):
        return diagnosis.diagnose(exercise, answer)
    if isinstance(exercise, Parsons):
        return diagnosis.order(exercise, answer)
    assert isinstance(exercise, Research)
    points = sum(worth for worth, _ in exercise.rubric)
    rubric = tuple(f"{worth}: {text}" for worth, text in exercise.rubric)
    return Report(name, "yours to judge", f"No program can mark this. Out of {points} points:", rubric)


def hint(name: str) -> Text:
    """The next hint of an exercise; after the third, the third again.

    Raises:
        ValueError: for an unknown name.
    """
    hints = find(name).hints
    number = min(_shown.get(name, 0) + 1, len(hints))
    _shown[name] = number
    return Text(f"Hint {number} of {len(hints)}: {hints[number - 1]}")


def solution(name: str) -> Text:
    """A solution, as Markdown: code, a right order, or the rubric of a research question.

    Raises:
        ValueError: for an unknown name.
    """
    return Text(find(name).solution())
