"""From an answer to what is wrong with it: form, properties, which mistake it reproduces, where it differs.

An answer is judged by what it computes, never by how it is written.
"""

from __future__ import annotations

import contextlib
import inspect
import signal
import threading
import traceback
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor

from mi_lite.exercises import bank
from mi_lite.exercises.forms import Case, Coding, Parsons
from mi_lite.exercises.report import Report

SECONDS = 5.0
TOO_LONG = f"It ran for more than {SECONDS:.0f} seconds and was stopped: an endless loop?"


class _Found(Exception):
    """A finding that ends the diagnosis."""

    def __init__(self, message: str, *details: str) -> None:
        super().__init__(message)
        self.message, self.details = message, details


class _OutOfTime(BaseException):  # not an Exception: an answer's own `except Exception` must not swallow it
    pass


# ---- running an answer ----


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[bool]:
    """Stops what runs inside after some seconds. Yields whether this platform can: not on Windows, nor in a thread."""
    able = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not able:
        yield False
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise _OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)  # again and again: a bare `except` may swallow the first
    try:
        yield True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _copy(value: Any, with_gradient: bool = False) -> Any:
    if not isinstance(value, Tensor):
        return value
    copied = value.detach().clone()
    return copied.requires_grad_() if with_gradient and copied.is_floating_point() else copied


def describe(case: Case, inputs: dict[str, str] | Any) -> str:
    """What went in, by name and shape: ``behaviors (B=3, T=7, D=5), iterations=2``."""
    parts = []
    for name, value in case.items():
        if isinstance(value, Tensor):
            letters = inputs.get(name, "").split()
            sizes = (
                (f"{a}={n}" for a, n in zip(letters, value.shape, strict=False)) if letters else map(str, value.shape)
            )
            parts.append(f"{name} ({', '.join(sizes)})")
        else:
            parts.append(f"{name}={value!r}")
    return ", ".join(parts)


def _went_in(exercise: Coding, case: Case) -> str:
    return f"It was called with {describe(case, exercise.inputs)}."


def _run(exercise: Coding, answer: Any, case: Case, with_gradient: bool = False) -> Any:
    """The answer's result on copies of a case's arguments; what it raises and what it changes is said by name."""
    given = {name: _copy(value, with_gradient) for name, value in case.items()}
    before = {name: _copy(value) for name, value in case.items()}
    went_in = _went_in(exercise, case)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            result = answer(**given)
    except _OutOfTime:
        raise _Found(TOO_LONG, went_in) from None
    except (Exception, SystemExit) as error:  # whatever an answer does, the reader sees her own line, not ours
        say = f"It stopped with {type(error).__name__}: {str(error).rstrip('.')}."
        raise _Found(say, *_line_of(error, answer), went_in) from None
    for name, value in before.items():
        if isinstance(value, Tensor) and not torch.equal(given[name].detach(), value):
            raise _Found(f"It changes its argument {name} in place. Work on a copy: the caller still needs it.")
    return result


def _line_of(error: BaseException, answer: Any) -> tuple[str, ...]:
    """The last line of the reader's own file that was running."""
    code = getattr(answer, "__code__", None)
    if code is None:
        return ()
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == code.co_filename]
    if not own:
        return ()
    line = own[-1]
    count = (line.lineno or 0) - code.co_firstlineno + 1
    return (f"In line {count} of your function" + (f": {line.line}" if line.line else "") + ".",)


# ---- was it attempted? ----


def _form(code: CodeType) -> tuple[Any, ...]:
    """What a function's code does, without names of files, lines and docstrings."""
    constants = [_form(c) if isinstance(c, CodeType) else (type(c).__name__, c) for c in code.co_consts]
    if code.co_consts and isinstance(code.co_consts[0], str):  # its docstring, or a string that it begins with
        constants = constants[1:]
    return (code.co_code, tuple(map(repr, constants)), code.co_names, code.co_varnames)


def untouched(exercise: Coding, answer: Any) -> bool:
    """Whether the answer is the stub as it was given."""
    if not inspect.isfunction(answer):
        return False
    compiled = compile(exercise.stub, "stub", "exec")
    found = [c for c in compiled.co_consts if isinstance(c, CodeType) and c.co_name == answer.__name__]
    return any(_form(c) == _form(answer.__code__) for c in found)


# ---- form ----


def _results(exercise: Coding, result: Any) -> list[Any]:
    """The results one by one, as many as there should be."""
    wanted = list(exercise.returns)
    if result is None:
        raise _Found("It returns None: a `return` is missing, or returns nothing.")
    if len(wanted) == 1:
        if isinstance(result, tuple) and len(result) == 1:
            raise _Found(f"It returns a tuple with one entry; return {wanted[0]} itself (a stray comma?).")
        return [result]
    if not isinstance(result, (tuple, list)):
        raise _Found(f"It returns one {type(result).__name__}; it should return {len(wanted)}: {', '.join(wanted)}.")
    if len(result) != len(wanted):
        raise _Found(f"It returns {len(result)} results; it should return {len(wanted)}: {', '.join(wanted)}.")
    return list(result)


def _shape(value: Tensor, right: Tensor, name: str, letters: list[str], case: Case, exercise: Coding) -> None:
    got, wanted = tuple(value.shape), tuple(right.shape)
    if got == wanted:
        return
    should = f"({', '.join(f'{a}={n}' for a, n in zip(letters, wanted, strict=True))})" if letters else "()"
    say = f"{name} should have shape {should}; yours has {got}"
    sizes = {**bank.sizes_of(case, exercise.inputs), **dict(zip(letters, wanted, strict=True))}
    if sorted(got) == sorted(wanted):
        raise _Found(f"{say}: the same numbers in another order, so two dimensions are swapped.")
    missing = [a for a in letters if sizes[a] not in got]
    extra = [next((a for a, m in sizes.items() if m == n), str(n)) for n in got if n not in wanted]
    if len(got) < len(wanted) and missing:
        raise _Found(f"{say}: the {bank.noun(missing[0])}s ({missing[0]}) are gone; were they summed over?")
    if len(got) > len(wanted) and extra:
        raise _Found(f"{say}: there is one dimension too many, {extra[0]}; should it be summed over?")
    raise _Found(f"{say}.")


def _tensor(value: Any, right: Tensor, name: str, letters: list[str], case: Case, exercise: Coding) -> Tensor:
    """A result in the form in which it is compared; says what is wrong with its type, shape or dtype."""
    if not isinstance(value, Tensor):
        if isinstance(value, tuple) and isinstance(getattr(value, "values", None), Tensor):
            raise _Found(f"{name} hold values and indices: max, min and the like give both over a dim; take .values.")
        if letters or not isinstance(value, (int, float)):
            kind = type(value).__name__
            raise _Found(f"{name} should be a torch tensor, yours is a {kind}: {_short(value)}.")
        value = torch.tensor(value)
    _shape(value, right, name, letters, case, exercise)
    if right.dtype == torch.bool and value.dtype != torch.bool:
        raise _Found(f"{name} should be boolean, yours is {_kind(value)}.")
    if right.is_floating_point() and not value.is_floating_point():
        raise _Found(f"{name} should hold floating-point numbers, yours are {_kind(value)}: they were rounded.")
    if not right.is_floating_point() and value.is_floating_point() and right.dtype != torch.bool:
        raise _Found(f"{name} should hold whole numbers (ids or counts), yours are {_kind(value)}.")
    return value


def _not_finite(value: Tensor, right: Tensor, name: str, letters: list[str]) -> str | None:
    """What to say of NaN or infinity where the right result has none."""
    nan, infinite = value.isnan() & ~right.isnan(), value.isinf() & ~right.isinf()
    if nan.any():
        causes = "a softmax over places that are all masked, 0/0, 0 · ∞, or a fractional power of a negative number"
        return f"{name} holds NaN, first at {_place(nan, letters)}. Usual causes: {causes}."
    return f"{name} holds infinity, first at {_place(infinite, letters)}." if infinite.any() else None


def _kind(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."


def _place(where: Tensor, letters: list[str]) -> str:
    """The first True, by name: ``user 1, behaviour 3``."""
    if not letters:
        return "its only place"
    index = where.nonzero()[0].tolist()
    return ", ".join(f"{bank.noun(a)} {i}" for a, i in zip(letters, index, strict=True))


# ---- the diagnosis ----


def diagnose(exercise: Coding, answer: Any) -> Report:
    """The report on an answer to a coding exercise."""
    if untouched(exercise, answer):
        what = "This is the code as it was given; it has a fault." if exercise.mend else "Fill in the function above."
        return Report(exercise.name, "open", f"{what} hint({exercise.name!r}) helps.")
    notes: tuple[str, ...] = ()
    try:
        with _limit(SECONDS) as limited:
            if not limited:
                notes = ("An endless loop can't be stopped here: interrupt the kernel by hand.",)
            _judge(exercise, answer)
    except _Found as found:
        named = not isinstance(found, _Differs)
        return Report(exercise.name, "wrong", found.message, (*found.details, *notes), named=named)
    except _OutOfTime:
        return Report(exercise.name, "wrong", TOO_LONG, named=True)
    return Report(exercise.name, "right", "Your function computes what the chapter's does, in every case tried.")


class _Differs(_Found):
    """Values differ, and no mistake was recognised."""


def _judge(exercise: Coding, answer: Any) -> None:
    """Raises what is wrong with an answer; returns if nothing is."""
    if not callable(answer):
        raise _Found(f"The answer should be a function, it is a {type(answer).__name__}: {_short(answer)}.")
    cases = exercise.cases()
    _signature(exercise, answer, cases[0])
    names, letters = list(exercise.returns), [shape.split() for shape in exercise.returns.values()]
    compared: list[list[tuple[Case, Tensor, Tensor]]] = [[] for _ in names]
    raw = []
    for case in cases:
        right = exercise.solve(**{name: _copy(value) for name, value in case.items()})
        rights = list(right) if len(names) > 1 else [right]
        found = _results(exercise, _run(exercise, answer, case))
        shapes, expected = ([getattr(x, "shape", ()) for x in xs] for xs in (found, rights))
        if shapes != expected and sorted(shapes) == sorted(expected):
            raise _Found(f"The results come in another order; return {', '.join(names)}.")
        for i, (value, wanted) in enumerate(zip(found, rights, strict=True)):
            wanted = wanted if isinstance(wanted, Tensor) else torch.tensor(wanted)
            compared[i].append((case, _tensor(value, wanted, names[i], letters[i], case, exercise).detach(), wanted))
        raw.append(found[0] if len(names) == 1 else tuple(found))
    for i, rows in enumerate(compared):
        for case, value, wanted in rows:
            say = _not_finite(value, wanted, names[i], letters[i])
            if say:
                raise _Found(_mistake(exercise, cases, compared) or say, _went_in(exercise, case))
    failed = [
        p.message for p in exercise.properties if not all(_holds(p, c, r) for c, r in zip(cases, raw, strict=True))
    ]
    wrong = [i for i, rows in enumerate(compared) if not all(bank.close(a, b) for _, a, b in rows)]
    if wrong:
        named = _mistake(exercise, cases, compared)
        if named:
            raise _Found(named, *failed)
        related = bank.relation(compared[wrong[0]], names[wrong[0]], " ".join(letters[wrong[0]]), exercise.inputs)
        where = _first_difference(compared[wrong[0]], names[wrong[0]], letters[wrong[0]], exercise)
        if related:
            raise _Found(related, *failed, where)
        if failed:
            raise _Found(failed[0], *failed[1:], where)
        raise _Differs(where)
    if exercise.differentiable:
        _gradient(exercise, answer, cases[0])


def _signature(exercise: Coding, answer: Any, case: Case) -> None:
    try:
        signature = inspect.signature(answer)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(**case)
    except TypeError:
        raise _Found(
            f"It should take the arguments {', '.join(case)}; yours takes {', '.join(signature.parameters) or 'none'}."
        ) from None


def _holds(p: Any, case: Case, result: Any) -> bool:
    try:
        return bool(p.holds(case, result))
    except (RuntimeError, ValueError, TypeError, IndexError):
        return False


def _mistake(exercise: Coding, cases: list[Case], compared: list[list[tuple[Case, Tensor, Tensor]]]) -> str | None:
    """The message of the first mistake that gives the answer's results on every case."""
    for mistake in exercise.mistakes:
        for i, case in enumerate(cases):
            with torch.random.fork_rng(devices=[]), contextlib.suppress(Exception):
                torch.manual_seed(0)
                result = mistake.wrong(**{name: _copy(value) for name, value in case.items()})
                rows = list(result) if len(compared) > 1 else [result]
                rows = [row if isinstance(row, Tensor) else torch.tensor(row) for row in rows]
                if all(bank.close(row.detach(), compared[j][i][1]) for j, row in enumerate(rows)):
                    continue
            break
        else:
            return mistake.message
    return None


def _first_difference(rows: list[tuple[Case, Tensor, Tensor]], name: str, letters: list[str], exercise: Coding) -> str:
    case, yours, right = next(row for row in rows if not bank.close(row[1], row[2]))
    size = float(right[right.isfinite()].abs().max()) if right.isfinite().any() else 1.0
    where = ~torch.isclose(yours.double(), right.double(), rtol=1e-4, atol=1e-4 * max(size, 1e-3))
    index = tuple(where.nonzero()[0].tolist())
    return (
        f"{name} differ first at {_place(where, letters)}: yours {float(yours[index]):.4g}, expected "
        f"{float(right[index]):.4g}, with {describe(case, exercise.inputs)}."
    )


def _gradient(exercise: Coding, answer: Any, case: Case) -> None:
    """The results must depend on the floating-point arguments for autograd too."""
    right = exercise.solve(**{name: _copy(value, True) for name, value in case.items()})
    rights = list(right) if len(exercise.returns) > 1 else [right]
    found = _results(exercise, _run(exercise, answer, case, with_gradient=True))
    for name, value, wanted in zip(exercise.returns, found, rights, strict=True):
        if isinstance(wanted, Tensor) and wanted.requires_grad and not getattr(value, "requires_grad", False):
            raise _Found(
                f"The values of {name} are right, but no gradient flows back from them: something detaches them "
                "(.detach(), .data, .item(), torch.no_grad or NumPy), so a model could not learn through this."
            )
    given, reference = ({name: _copy(value, True) for name, value in case.items()} for _ in range(2))
    for name, slope, wanted in zip(
        given, _slopes(exercise, answer, given), _slopes(exercise, exercise.solve, reference), strict=True
    ):
        if slope is not None and wanted is not None and wanted.isfinite().all() and not slope.isfinite().all():
            where = _place(~slope.isfinite(), exercise.inputs[name].split())
            raise _Found(
                f"The values are right, but the gradient at {name} is not finite, first at {where}. Usual causes: the "
                "square root of a zero (the length of a zero vector, as s.square().sum().sqrt()), or a division by "
                "zero that torch.where hides from the values alone."
            )


def _slopes(exercise: Coding, function: Any, given: Case) -> list[Tensor | None]:
    """Gradient of the sum of all results at each argument; None where none flows."""
    results = _results(exercise, function(**given))
    flows = [r.sum() for r in results if isinstance(r, Tensor) and r.requires_grad]
    for total in flows:
        total.backward(retain_graph=True)
    return [value.grad if isinstance(value, Tensor) else None for value in given.values()]


# ---- lines in order ----


def order(exercise: Parsons, answer: Any) -> Report:
    """The report on an order of lines: a word of letters or a list of them."""

    def wrong(message: str) -> Report:
        return Report(exercise.name, "wrong", message, named=True)

    form = f"as one word such as {''.join(sorted(exercise.order))!r}"
    if answer is None or answer is ... or answer in ("", []):
        return Report(exercise.name, "open", f"Give the letters of the lines in order, {form}.")
    if not isinstance(answer, (str, list, tuple)) or not all(isinstance(letter, str) for letter in answer):
        return wrong(f"The answer should be the lines' letters {form}; it is {_short(answer)}.")
    word = [letter.strip().upper() for letter in answer if letter.strip()]
    unknown = [letter for letter in word if letter not in exercise.lines]
    if unknown:
        return wrong(f"There is no line {unknown[0]}; the lines are {', '.join(exercise.lines)}.")
    twice = [letter for letter in exercise.lines if word.count(letter) > 1]
    if twice:
        return wrong(f"Line {twice[0]} stands there {word.count(twice[0])} times; each line is used once at most.")
    spare = [letter for letter in word if letter in exercise.spare]
    if spare:
        return wrong(f"Line {spare[0]} belongs nowhere: {exercise.spare[spare[0]]}")
    missing = [letter for letter in exercise.order if letter not in word]
    if missing:
        return wrong(f"Line {missing[0]} is missing: {exercise.lines[missing[0]].strip()}")
    for before, after, why in exercise.rules:
        if word.index(before) > word.index(after):
            return wrong(f"Line {before} has to come before line {after}: {why}")
    return Report(exercise.name, "right", "Every line finds what it needs made before it.")
