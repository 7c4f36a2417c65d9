"""The cells of a chapter's exercises, made from `mi_lite.exercises`: task, stub and solution have one source."""

from __future__ import annotations

import re

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

TAG = "exercise"
HEADING = "## Exercises"


def folds(hints: tuple[str, ...], solution: str, last: str) -> str:
    """Hints inside each other, so that they come one at a time, then the solution."""
    text = ""
    for number in range(len(hints), 0, -1):
        inner = f"\n\n{text}" if text else ""
        text = f"<details><summary>Hint {number}</summary>\n\n{hints[number - 1]}{inner}\n\n</details>"
    return f"{text}\n\n<details><summary>{last}</summary>\n\n{solution}\n\n</details>"


def cells(chapter: str) -> list[NotebookNode]:
    """All cells of a chapter's exercises, in order; none if it has none."""
    from mi_lite.exercises import Coding, Exercise, Parsons, Research, find, names

    def of(exercise: Exercise) -> list[NotebookNode]:
        task = f"### {exercise.title}\n\n{exercise.task}"
        after = folds(exercise.hints, exercise.solution(), "Rubric" if isinstance(exercise, Research) else "Solution")
        if isinstance(exercise, Coding):
            defined = re.findall(r"^def (\w+)", exercise.stub, re.M)[-1]
            code = [exercise.stub.strip("\n"), f'check("{exercise.name}", {defined})']
        elif isinstance(exercise, Parsons):
            lines = "\n".join(f"{letter}   {line}" for letter, line in exercise.lines.items())
            task += f"\n\n```\n{lines}\n```"
            code = [f'order = ""  # the letters as one word\n\ncheck("{exercise.name}", order)']
        else:
            code = []
        return [new_markdown_cell(task), *map(new_code_cell, code), new_markdown_cell(after)]

    own = [cell for name in names(chapter) for cell in of(find(name))]
    if not own:
        return []
    made = [new_code_cell("from mi_lite.exercises import check, hint, solution"), *own]
    for cell in made:
        cell.metadata["tags"] = [TAG]
    return made


def put(notebook_cells: list[NotebookNode], chapter: str) -> list[NotebookNode]:
    """A notebook's cells with its exercises behind the heading; cells that stay keep their outputs."""
    before = {cell.source: cell for cell in notebook_cells if TAG in cell.metadata.get("tags", [])}
    rest = [cell for cell in notebook_cells if TAG not in cell.metadata.get("tags", [])]
    heading = next((i for i, cell in enumerate(rest) if cell.source.startswith(HEADING)), None)
    if heading is None:
        return rest
    return rest[: heading + 1] + [before.get(cell.source, cell) for cell in cells(chapter)] + rest[heading + 1 :]
