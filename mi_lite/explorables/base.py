"""The frame of the live figures: checked traits, one JavaScript module out of two files, a still for the page."""

from __future__ import annotations

import atexit
import copy
import html
import json
import math
import re
import reprlib
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets

from mi_lite.palette import PALETTE, in_the_dark, variables

FOLDER = Path(__file__).parent
#: What every figure builds on, in this order: the numbers of mi_lite, then drawing and life in the browser.
SHARED = ("mirror", "kit")
#: The statements of a figure's file that are left out where it and what it builds on are one module.
IMPORT = re.compile(r'^import \{[^}]*\} from "\./(?:mirror|kit)\.js";\n', re.M)


class BadValue(traitlets.TraitError, ValueError):
    """A trait was given a value that it can't take; the message names the trait and says what it takes."""


class _Checked(traitlets.TraitType):
    """A synced trait with a rule. The rule also goes to the browser, which builds the control from it."""

    def __init__(self, default: Any, help: str) -> None:
        super().__init__(default, help=help)
        self.tag(sync=True)

    def _rule(self) -> dict[str, Any]:
        """The rule as the browser reads it."""
        raise NotImplementedError

    def _wanted(self) -> str:
        """The rule in words."""
        raise NotImplementedError

    def _fits(self, value: Any) -> Any:
        """The value in its stored form; ValueError or TypeError if it breaks the rule."""
        raise NotImplementedError

    def validate(self, obj: Any, value: Any) -> Any:
        try:
            return self._fits(value)
        except (TypeError, ValueError):
            raise BadValue(f"{self.name} must be {self._wanted()}, got {value!r}") from None


def _number(value: Any) -> float:
    """A finite number; not a truth value, not text."""
    if isinstance(value, (bool, str, bytes)):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


class Number(_Checked):
    """A finite number from ``low`` to ``high``."""

    def __init__(self, default: float, low: float, high: float, help: str = "") -> None:
        super().__init__(float(default), help)
        self.low, self.high = low, high

    def _rule(self) -> dict[str, Any]:
        return {"kind": "number", "low": self.low, "high": self.high}

    def _wanted(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    def _fits(self, value: Any) -> float:
        number = _number(value)
        if not self.low <= number <= self.high:
            raise ValueError
        return number


class Whole(_Checked):
    """A whole number from ``low`` to ``high``."""

    def __init__(self, default: int, low: int, high: int, help: str = "") -> None:
        super().__init__(default, help)
        self.low, self.high = low, high

    def _rule(self) -> dict[str, Any]:
        return {"kind": "whole", "low": self.low, "high": self.high}

    def _wanted(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def _fits(self, value: Any) -> int:
        number = _number(value)
        if number != int(number) or not self.low <= number <= self.high:
            raise ValueError
        return int(number)


class Choice(_Checked):
    """One of a few values."""

    def __init__(self, default: Any, options: tuple[Any, ...], help: str = "") -> None:
        super().__init__(default, help)
        self.options = options

    def _rule(self) -> dict[str, Any]:
        return {"kind": "choice", "options": list(self.options)}

    def _wanted(self) -> str:
        return "one of " + ", ".join(map(repr, self.options))

    def _fits(self, value: Any) -> Any:
        for option in self.options:
            if type(option) is type(value) and option == value:
                return option
        raise ValueError


class Points(_Checked):
    """A list of ``least`` to ``most`` points, each a list of numbers within ``low`` and ``high``, place by place.

    With ``single`` the trait is one point, not a list of them. ``whole`` says which numbers must be whole.
    """

    def __init__(
        self,
        default: list[Any],
        low: list[float],
        high: list[float],
        *,
        least: int = 1,
        most: int = 1,
        whole: tuple[int, ...] = (),
        help: str = "",
    ) -> None:
        super().__init__(default, help)
        self.low, self.high, self.least, self.most, self.whole = low, high, least, most, whole

    def _rule(self) -> dict[str, Any]:
        whole = [i in self.whole for i in range(len(self.low))]
        return {
            "kind": "points",
            "low": self.low,
            "high": self.high,
            "least": self.least,
            "most": self.most,
            "whole": whole,
        }

    def _wanted(self) -> str:
        ranges = ", ".join(
            f"{'whole ' if i in self.whole else ''}{low:g} to {high:g}"
            for i, (low, high) in enumerate(zip(self.low, self.high, strict=True))
        )
        return f"a list of {self.least} to {self.most} lists of {len(self.low)} numbers ({ranges})"

    def _fits(self, value: Any) -> list[Any]:
        points = [self._point(p) for p in value]
        if not self.least <= len(points) <= self.most:
            raise ValueError
        return points

    def _point(self, value: Any) -> list[float]:
        """One point in its stored form."""
        numbers = [_number(x) for x in value]
        for i, (x, low, high) in enumerate(zip(numbers, self.low, self.high, strict=True)):
            if not low <= x <= high or (i in self.whole and x != int(x)):
                raise ValueError
        return [int(x) if i in self.whole else x for i, x in enumerate(numbers)]


class Point(Points):
    """One point: a list of numbers within ``low`` and ``high``, place by place."""

    def _rule(self) -> dict[str, Any]:
        return super()._rule() | {"kind": "point"}

    def _wanted(self) -> str:
        ranges = ", ".join(f"{low:g} to {high:g}" for low, high in zip(self.low, self.high, strict=True))
        return f"a list of {len(self.low)} numbers ({ranges})"

    def _fits(self, value: Any) -> list[Any]:
        return self._point(value)


class Wholes(_Checked):
    """A list of at most ``most`` different whole numbers from ``low`` to ``high``, kept in order."""

    def __init__(self, default: list[int], low: int, high: int, *, most: int, help: str = "") -> None:
        super().__init__(default, help)
        self.low, self.high, self.most = low, high, most

    def _rule(self) -> dict[str, Any]:
        return {"kind": "wholes", "low": self.low, "high": self.high, "most": self.most}

    def _wanted(self) -> str:
        return f"a list of at most {self.most} different whole numbers from {self.low} to {self.high}"

    def _fits(self, value: Any) -> list[int]:
        numbers = [_number(x) for x in value]
        if any(x != int(x) or not self.low <= x <= self.high for x in numbers):
            raise ValueError
        if len(numbers) > self.most or len(set(numbers)) < len(numbers):
            raise ValueError
        return sorted(map(int, numbers))


class Data(_Checked):
    """Numbers or texts that the picture is made of and that nobody changes: vectors, titles.

    It is set where the figure is made and stays; it is part of the page, and never of a shared address.

    Args:
        default: a list, or for two of ``most`` a list of equally long lists.
        most: the most entries in each direction, ``(24,)`` or ``(24, 64)``.
        of: ``float`` or ``str``.
    """

    def __init__(self, default: list[Any], most: tuple[int, ...], of: type = float, *, help: str = "") -> None:
        super().__init__(default, help)
        self.most, self.of = most, of

    def _rule(self) -> dict[str, Any]:
        return {"kind": "data"}

    def _wanted(self) -> str:
        each = "texts" if self.of is str else "finite numbers"
        if len(self.most) == 1:
            return f"a list of 1 to {self.most[0]} {each}"
        return f"a list of 1 to {self.most[0]} equally long lists of 1 to {self.most[1]} {each}"

    def _fits(self, value: Any, direction: int = 0) -> list[Any]:
        if isinstance(value, (str, bytes)):
            raise TypeError
        entries = list(value)
        if not 1 <= len(entries) <= self.most[direction]:
            raise ValueError
        if direction + 1 < len(self.most):
            entries = [self._fits(entry, direction + 1) for entry in entries]
            if len({len(entry) for entry in entries}) > 1:
                raise ValueError
        elif self.of is str:
            if not all(isinstance(entry, str) for entry in entries):
                raise TypeError
        else:
            entries = [_number(entry) for entry in entries]
        return entries

    def validate(self, obj: Any, value: Any) -> Any:
        """The value in its stored form.

        Raises:
            BadValue: if it breaks the rule, or would change what was given.
        """
        try:
            fitting = self._fits(value)
        except (TypeError, ValueError):
            raise BadValue(f"{self.name} must be {self._wanted()}, got {reprlib.repr(value)}") from None
        if obj._schema and fitting != getattr(obj, self.name or ""):
            raise BadValue(f"{self.name} is given where the figure is made and can't be changed; make a new one")
        return fitting


def module_text(name: str) -> str:
    """The JavaScript of a figure as one ES module: mirror and kit, then the figure without its imports."""
    texts = ((FOLDER / f"{part}.js").read_text(encoding="utf-8") for part in (*SHARED, name))
    return IMPORT.sub("", "\n".join(texts))


def style_text() -> str:
    """The stylesheet for notebooks: the palette, for light and dark fronts, then the look shared with the site."""
    own = (
        ".mi-live{padding:.5rem;color-scheme:light;font-family:Helvetica,Arial,'Liberation Sans',sans-serif}"
        ".mi-live .mi-live-handle{border-radius:50%}.mi-live-body svg{max-width:100%}"
    )
    rules = (f".mi-live{{{variables('light')}}}", in_the_dark(".mi-live", "color-scheme:dark"), own)
    return "\n".join([*rules, (FOLDER / "kit.css").read_text(encoding="utf-8")])


@lru_cache(maxsize=32)
def engine(name: str) -> Any:
    """A JavaScript engine that holds a figure's functions, or None where mini-racer is missing.

    ``engine("squash").eval("JSON.stringify(compute(…))")`` runs the code that the browser runs.
    """
    try:
        from py_mini_racer import MiniRacer
    except ImportError:
        return None
    context = MiniRacer()
    atexit.register(context.close)  # its thread would keep Python from ending
    text = re.sub(r"^export default [^\n]*\n", "", module_text(name), flags=re.M)
    context.eval(re.sub(r"^export ", "", text, flags=re.M))
    return context


def call(name: str, expression: str, *arguments: Any) -> Any:
    """Call a JavaScript function of a figure with JSON arguments: ``call("squash", "compute", state)``.

    Raises:
        RuntimeError: where mini-racer is missing.
    """
    context = engine(name)
    if context is None:
        raise RuntimeError("mini-racer is missing: pip install mini-racer")
    values = ", ".join(json.dumps(argument, allow_nan=False) for argument in arguments)
    return json.loads(context.eval(f"JSON.stringify({expression}({values}))"))


class Explorable(anywidget.AnyWidget):
    """A live figure. A subclass states its traits and its words; the JavaScript file has the module's name.

    Every trait made of ``Number``, ``Whole``, ``Wholes``, ``Choice``, ``Point`` or ``Points`` is kept in step with the
    picture, both ways: set it and the picture moves; drag, and read it. ``Data`` is set where the figure is made. A
    value that breaks a trait's rule is refused by name.

    Raises:
        TypeError: for a keyword that is no trait of the figure.
        BadValue: for a value that a trait can't take, here and whenever one is set.
    """

    module: ClassVar[str] = ""  #: the name that Python file, JavaScript file and figure on the site share
    title: ClassVar[str] = ""  #: what the figure is called, for the ear
    task: ClassVar[str] = ""  #: what to try
    notice: ClassVar[str] = ""  #: what there is to see

    _schema = traitlets.Dict().tag(sync=True)
    _words = traitlets.Dict().tag(sync=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        module = cls.__module__.rsplit(".", 1)[-1]
        if (FOLDER / f"{module}.js").exists() and "_esm" not in cls.__dict__:  # instances get classes of their own
            cls.module, cls._esm, cls._css = module, module_text(module), style_text()
            traits = cls._rules()
            words = [f"        {key}: {trait._wanted()}; {trait.help}." for key, trait in traits.items()]
            cls.__doc__ = "\n".join([cls.__doc__ or "", "    Args:", *words, ""])
        super().__init_subclass__(**kwargs)

    def __init__(self, **state: Any) -> None:
        known = self.rules()
        unknown = sorted(set(state) - set(known))
        if unknown:
            raise TypeError(f"{type(self).__name__} has no {', '.join(unknown)}; it has {', '.join(known)}")
        super().__init__(**state)
        self._schema = copy.deepcopy(self.schema())
        self._words = {"title": self.title, "task": self.task, "notice": self.notice}

    @classmethod
    def rules(cls) -> dict[str, dict[str, Any]]:
        """What each trait takes: ``{"variant": {"kind": "choice", "options": […]}, …}``."""
        return {key: trait._rule() for key, trait in cls._rules().items()}

    @classmethod
    def _rules(cls) -> dict[str, _Checked]:
        """The checked traits, in the order in which they are written."""
        every = (item for base in reversed(cls.__mro__) for item in vars(base).items())
        return {key: trait for key, trait in every if isinstance(trait, _Checked)}

    def schema(self) -> dict[str, dict[str, Any]]:
        """The rules and the values that the picture starts with. A subclass may narrow a rule to what it was given."""
        return {key: {**rule, "start": getattr(self, key)} for key, rule in self.rules().items()}

    def state(self) -> dict[str, Any]:
        """The traits that make up the picture."""
        return {key: getattr(self, key) for key in self.rules()}

    def still(self) -> str | None:
        """The figure as HTML for a page without a kernel, with its picture drawn; None where mini-racer is missing.

        The picture comes from the same ``draw`` that runs in the browser.
        """
        context = engine(self.module)
        if context is None:
            return None
        schema = self.schema()
        body = call(self.module, "((schema, state) => bodyHTML(figure, schema, state))", schema, self.state())
        colors = PALETTE["light"]
        body = re.sub(r"var\(--mi-(\w+)\)", lambda found: f"var(--mi-{found[1]},{colors[found[1]]})", body)
        # In single quotes: JSON is full of double ones, and each would be six letters long.
        quoted = html.escape(json.dumps(schema, separators=(",", ":")), quote=False).replace("'", "&#39;")
        return (
            f'<figure class="mi-live" aria-label="{html.escape(self.title)}" data-module="{self.module}" '
            f"data-schema='{quoted}'><div class=\"mi-live-body\">{body}</div><figcaption><b>Try.</b> "
            f"{html.escape(self.task)} <b>Notice.</b> {html.escape(self.notice)}</figcaption></figure>"
        )

    def __repr__(self) -> str:
        return f"[live figure] {self.title}"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        # Colab shows the widget itself; everywhere else a front that has no widgets shows the still.
        still = None if "google.colab" in sys.modules else self.still()
        return {**data, "text/plain": repr(self), **({"text/html": still} if still else {})}, metadata
