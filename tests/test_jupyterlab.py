"""The live figures in a running JupyterLab with a kernel: what a hand does reaches Python, and the other way round."""

# ruff: noqa: F811 (fixtures are arguments of the same name)

from __future__ import annotations

import ast
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page
from test_browser import Visit, browser  # noqa: F401 (fixture)
from test_explorables import FIGURES

from mi_lite.explorables.base import Choice, Data, Explorable, Number, Points, Whole, Wholes, call
from mi_lite.palette import PALETTE

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

#: Nothing of the machine's own settings, no news, no look for new versions.
SETTINGS = {
    "labconfig/page_config.json": {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}},
    "lab/user-settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
}
EXECUTE = """async ([code, expressions]) => {
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    const how = { store_history: false, stop_on_error: false, user_expressions: expressions };
    return (await kernel.requestExecute({ code, ...how }).done).content;
}"""

REFUSED = """
for key in {name}.rules():
    for bad in ("no such value", float("nan"), 1e9, None, [[]]):
        try:
            setattr({name}, key, bad)
        except ValueError as error:
            assert str(error).startswith(key + " must be "), error
        else:
            raise AssertionError(f"{{key}} = {{bad}} is taken")
"""

PICTURE = """
import matplotlib.pyplot as plt
from mi_lite.figures import show
figure, axes = plt.subplots()
axes.plot([1, 2], label="one")
show(figure, alt="A line that climbs from 1 to 2.")
"""


class Server:
    """A JupyterLab of this environment on a free port of this machine, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.root, self.token = folder / "notebooks", secrets.token_hex(16)
        self.root.mkdir()
        for name, settings in SETTINGS.items():
            path = folder / "config" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(settings))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}/"
        options = {
            "IdentityProvider.token": self.token,
            "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
            "LabApp.expose_app_in_browser": True,
            "LabApp.extension_manager": "readonly",
            "ServerApp.allow_root": True,
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.open_browser": False,
            "ServerApp.port": port,
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": self.root,
        }
        places = {f"JUPYTER_{kind.upper()}_DIR": str(folder / kind) for kind in ("config", "data", "runtime")}
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())],
                cwd=folder,
                env=os.environ | places | {"IPYTHONDIR": str(folder / "ipython"), "PYTHONNOUSERSITE": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{self.base}api?token={self.token}", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        self.stop()
        pytest.fail(f"JupyterLab did not start:\n{self.log.read_text()[-2000:]}", pytrace=False)

    def stop(self) -> None:
        """Ask it to end, kernels and all."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Notebook:
    """A notebook, opened in Lab, whose cells are run all."""

    def __init__(self, browser: Browser, server: Server, name: str, cells: list[str]) -> None:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, server.root / name)
        self.context = browser.new_context(viewport={"width": 1280, "height": 1600})
        self.visit = Visit(self.context, server.base)
        self.page: Page = self.visit.page
        self.page.goto(f"{server.base}lab/tree/{name}?token={server.token}&reset")
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )
        self.visit.errors.clear()  # how long Lab's own parts took to start, say
        self.command("notebook:run-all-cells")

    def command(self, name: str, **arguments: Any) -> None:
        self.page.evaluate(
            "([name, given]) => window.jupyterapp.commands.execute(name, given).then(() => null)", [name, arguments]
        )

    def execute(self, code: str = "", **expressions: str) -> dict[str, Any]:
        """Run code in the kernel as another cell would; the kernel's answer."""
        return self.page.evaluate(EXECUTE, [code, expressions])

    def value(self, expression: str) -> Any:
        """A Python value of the kernel."""
        answer = self.execute(value=expression)["user_expressions"]["value"]
        assert answer["status"] == "ok", answer
        return ast.literal_eval(answer["data"]["text/plain"])

    def cell(self, i: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(i)

    def active(self) -> int:
        """Which cell the notebook's cursor is on."""
        return self.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.activeCellIndex")

    def clear(self, cell: Locator) -> None:
        """Take a cell's output away."""
        cell.locator(".jp-InputPrompt").click()
        self.command("notebook:clear-cell-output")


class View:
    """One picture of a figure in the notebook."""

    def __init__(self, cell: Locator) -> None:
        self.page, self.cell = cell.page, cell
        self.root = cell.locator(".mi-live")
        self.root.wait_for()
        self.handle = self.root.locator(".mi-live-handle").first

    def look(self) -> str:
        """All that is seen: pictures, where the points are, what the controls show."""
        return self.root.evaluate(
            """async (e) => {
                await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
                const fields = [...e.querySelectorAll("input, select, output")].map((x) => x.value + x.disabled);
                const fixed = (x) => [...x.attributes].filter((a) => !a.name.startsWith("data-"));
                const flat = (x) => [x.tagName, fixed(x).map((a) => a.name + a.value).sort(),
                    x.children.length ? [...x.children].map(flat) : x.textContent];
                return JSON.stringify([[...e.querySelectorAll(".mi-live-panel")].map(flat), fields]);
            }"""
        )

    def shows(self, look: str) -> bool:
        """Whether it looks like this, soon."""
        return any(self.look() == look or self.page.wait_for_timeout(20) for _ in range(100))

    def changes(self, look: str, tries: int = 100) -> bool:
        """Whether it looks other than this, soon."""
        return any(self.look() != look or self.page.wait_for_timeout(20) for _ in range(tries))

    def move(self) -> None:
        """Drag the first point; where there is none, press an arrow key on the first control."""
        if self.handle.count():
            self.drag(-20, 15)
        else:
            self.nudge(self.root.locator("input[data-control]").first)

    def step(self) -> None:
        """An arrow key on the first point or control."""
        if self.handle.count():
            self.handle.press("ArrowUp")
        else:
            self.nudge(self.root.locator("input[data-control]").first)

    def nudge(self, field: Locator) -> str:
        """Press an arrow key on a slider; the slider's new value."""
        before = field.input_value()
        for key in ("ArrowRight", "ArrowLeft"):
            field.press(key)
            if field.input_value() != before:
                return field.input_value()
        pytest.fail("arrow keys do not move the slider: does JupyterLab take them?")

    def drag(self, dx: int, dy: int) -> None:
        self.handle.scroll_into_view_if_needed()
        box = self.handle.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + dx, y + dy, steps=4)
        self.page.mouse.up()


def linked(figure: type[Explorable]) -> tuple[str, str]:
    """A trait, and a plain widget that holds the same kind of value."""
    rules = figure._rules()
    for key, rule in rules.items():
        if isinstance(rule, Number | Whole):
            kind, step = ("Int", "") if isinstance(rule, Whole) else ("Float", f", step={(rule.high - rule.low) / 20}")
            return key, f"widgets.{kind}Slider(min={rule.low}, max={rule.high}{step})"
    key = next(key for key, rule in rules.items() if isinstance(rule, Choice) and isinstance(rule.options[0], str))
    return key, "widgets.Text()"


def another(rule: Any, value: Any) -> Any:
    """A value that the trait takes and does not have."""
    if isinstance(rule, Choice):
        return next(option for option in rule.options if option != value)
    if isinstance(rule, Whole):
        return value - 1 if value == rule.high else value + 1
    if isinstance(rule, Number):
        return (rule.low + rule.high + value) / 3 if value != (rule.low + rule.high) / 2 else rule.low
    if isinstance(rule, Wholes):
        return value[1:] or [min(rule.low + 4, rule.high)]
    assert isinstance(rule, Points)
    if value and isinstance(value[0], list):
        return [another_point(rule, value[0]), *value[1:]]
    return another_point(rule, value)


def another_point(rule: Points, point: list[Any]) -> list[Any]:
    return [(rule.low[0] + 2 * rule.high[0]) / 3 if point[0] < rule.high[0] / 2 else rule.low[0] / 2, *point[1:]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def notebook(browser: Browser, server: Server) -> Iterator[Notebook]:
    """Every figure twice, and beside a plain widget that is linked to it in the browser."""
    cells = [f"import ipywidgets as widgets\nfrom mi_lite.explorables import *\n{PICTURE}"]
    for figure in FIGURES:
        key, widget = linked(figure)
        name = figure.module
        cells += [
            f"{name} = {figure.__name__}()\n{name}",
            f"{name}",
            f"{name}_linked = {widget}\nwidgets.jslink(({name}, {key!r}), ({name}_linked, 'value'))\n{name}_linked",
        ]
    opened = Notebook(browser, server, "figures.ipynb", cells)
    yield opened
    opened.context.close()


class Both:
    """A figure in the notebook: two views and the linked widget, as it starts."""

    def __init__(self, notebook: Notebook, figure: type[Explorable]) -> None:
        self.notebook, self.figure, self.name, self.rules = notebook, figure, figure.module, figure._rules()
        first = 1 + 3 * FIGURES.index(figure)
        self.cells = [notebook.cell(first + i) for i in range(3)]
        self.one, self.two = View(self.cells[0]), View(self.cells[1])
        self.keys = [c.get("key") for c in call(self.name, "(() => figure.controls)")]
        self.one.root.locator("[data-reset]").click()
        self.start = self.one.look()

    def state(self) -> dict[str, Any]:
        return self.notebook.value(f"{self.name}.state()")

    def set(self, values: dict[str, Any]) -> None:
        answer = self.notebook.execute(f"for _key, _value in {values!r}.items(): setattr({self.name}, _key, _value)")
        assert answer["status"] == "ok", answer["evalue"]
        self.notebook.page.wait_for_timeout(30)

    def reaches_python(self, before: dict[str, Any]) -> dict[str, Any]:
        for _ in range(50):
            if (now := self.state()) != before:
                return now
        pytest.fail("the kernel heard nothing")

    def quiet(self) -> None:
        errors, foreign = [*self.notebook.visit.errors], [*self.notebook.visit.foreign]
        self.notebook.visit.errors.clear()
        self.notebook.visit.foreign.clear()
        assert not errors and not foreign, f"{errors} {foreign}"


@pytest.fixture(params=FIGURES, ids=[figure.module for figure in FIGURES])
def both(request: pytest.FixtureRequest, notebook: Notebook) -> Iterator[Both]:
    found = Both(notebook, request.param)
    yield found
    found.quiet()


def test_what_the_hand_does_reaches_python(both: Both) -> None:
    start = state = both.state()
    both.one.move()
    assert both.one.changes(both.start)
    state = both.reaches_python(state)
    active = both.notebook.active()
    both.one.step()
    state = both.reaches_python(state)
    assert both.notebook.active() == active, "the arrow key moved the notebook's cursor too"
    for i, key in enumerate(both.keys):
        field = both.one.root.locator(f'[data-control="{i}"]')
        if key is None or field.is_disabled():
            continue
        if field.evaluate("e => e.tagName") == "SELECT":
            wanted = str(another(both.rules[key], state[key]))
            field.select_option(wanted)
        else:
            wanted = both.one.nudge(field)
        state = both.reaches_python(state)
        shown = state[key] if isinstance(state[key], str) else float(state[key])
        assert shown == type(shown)(wanted), key
    both.one.root.locator("[data-reset]").click()
    assert both.reaches_python(state) == start
    assert both.one.shows(both.start)


def test_what_python_sets_is_seen(both: Both) -> None:
    start = both.state()
    other = {key: another(rule, start[key]) for key, rule in both.rules.items() if not isinstance(rule, Data)}

    def seen(key: str, beside: str = "") -> bool:
        """Whether a trait's other value is seen, with another trait changed too or alone."""
        both.set(start | ({beside: other[beside]} if beside else {}))
        before = both.one.look()
        both.set({key: other[key]})
        return both.one.changes(before, tries=8)

    for key in other:
        if not seen(key):
            assert any(seen(key, beside) for beside in other if beside != key), f"{key} = {other[key]!r} is not seen"
    both.set(start)
    assert both.one.shows(both.start)


def test_a_bad_value_is_refused_by_name_and_nothing_moves(both: Both) -> None:
    start = both.state()
    key = next(iter(both.rules))
    answer = both.notebook.execute(f"{both.name}.{key} = None")
    assert answer["ename"] == "BadValue" and answer["evalue"].startswith(f"{key} must be "), answer
    answer = both.notebook.execute(REFUSED.format(name=both.name))
    assert answer["status"] == "ok", answer["evalue"]
    assert both.state() == start
    assert both.one.shows(both.start) and both.two.shows(both.start)


def test_a_plain_widget_linked_in_the_browser_goes_both_ways(both: Both) -> None:
    key, rule = linked(both.figure)[0], both.rules[linked(both.figure)[0]]
    before, widget = both.state(), f"{both.name}_linked.value"
    slider, text = both.cells[2].locator(".noUi-handle"), both.cells[2].locator("input")
    if slider.count():
        slider.press("ArrowRight" if before[key] != rule.high else "ArrowLeft")
    else:
        text.fill(another(rule, before[key]))
        text.press("Enter")
    assert both.one.changes(both.start)
    after = both.reaches_python(before)
    assert {name for name in after if after[name] != before[name]} == {key}
    assert both.notebook.value(widget) == after[key]
    both.one.root.locator("[data-reset]").click()
    assert both.reaches_python(after)[key] == both.notebook.value(widget) == before[key]
    if slider.count():
        assert float(slider.get_attribute("aria-valuetext")) == before[key]
    else:
        assert text.input_value() == before[key]


def test_two_views_stay_in_step_and_a_closed_one_is_gone(both: Both) -> None:
    assert both.two.shows(both.start)
    both.one.move()
    assert both.one.changes(both.start) and both.two.shows(both.one.look())
    look = both.one.look()
    both.two.step()
    assert both.two.changes(look) and both.one.shows(both.two.look())
    plays = call(both.name, "(() => figure.controls.map((control) => Boolean(control.play)))")
    for i in (i for i, plays_on in enumerate(plays) if plays_on):
        both.two.root.locator(f'[data-control="{i}"]').click()
    both.two.root.evaluate("e => { window.closedFigure = e }")
    both.notebook.clear(both.cells[1])
    both.two.root.wait_for(state="detached")
    left = both.notebook.page.evaluate("window.closedFigure.innerHTML")
    state = both.state()
    if any(plays):
        both.notebook.page.wait_for_timeout(1500)
        assert both.state() == state, "it plays on when it is closed"
    look = both.one.look()
    both.one.step()
    assert both.one.changes(look)
    both.reaches_python(state)
    assert both.notebook.page.evaluate("window.closedFigure.innerHTML") == left, "it draws on when it is closed"


def test_figures_follow_the_theme(notebook: Notebook) -> None:
    inks = """() => [["fill", ".mi-figure svg text"], ["color", ".mi-live figcaption b"]].map(
        ([ink, what]) => getComputedStyle(document.querySelector(".jp-Notebook " + what))[ink])"""
    for theme, mode in (("JupyterLab Dark", "dark"), ("JupyterLab Light", "light")):
        notebook.command("apputils:change-theme", theme=theme)
        notebook.page.locator(f'body[data-jp-theme-light="{str(mode == "light").lower()}"]').wait_for(state="attached")
        red, green, blue = (int(PALETTE[mode]["fg"][i : i + 2], 16) for i in (1, 3, 5))
        assert notebook.page.evaluate(inks) == [f"rgb({red}, {green}, {blue})"] * 2, theme
