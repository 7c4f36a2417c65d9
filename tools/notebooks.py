"""Executes the notebooks, stores them in one normal form, and checks that they keep the rules.

python tools/notebooks.py --execute            execute, normalise and store all notebooks
python tools/notebooks.py --execute 02_squash  the same for one
python tools/notebooks.py --normalise FILE…    normalise only (the pre-commit hook)
python tools/notebooks.py --check              change nothing; say what breaks the rules

The normal form: short text outputs, no rich ones (figures are made anew by the build), code cells counted 1, 2, 3, …,
cell ids made from their text, no other metadata than tags, one first code cell, the same in every notebook, that
fetches mi_lite where it is missing, and behind the heading "Exercises" the cells that `exercise_cells` makes. The
address in the first cell, in README.md and in CITATION.cff comes from one place: `sphinx.config.mi_repository_url` in
_config.yml. It may be empty.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import time
from pathlib import Path

import nbformat
import yaml
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

try:
    from tools import exercise_cells
    from tools.environment import ROOT, use_environment_variables
except ImportError:  # run as a program: this folder is on the path, the project is not
    import exercise_cells
    from environment import ROOT, use_environment_variables

NOTEBOOKS = ROOT / "notebooks"
LINES_AIM, LINES_MOST = 15, 25
SECONDS_PER_CELL = 300
TEXT = "text/plain"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
SETUP_MARK = "# This notebook needs mi_lite."
SETUP_TAGS = ["setup", "remove-cell"]

# What only the site would render, and the other places a notebook is read (GitHub, JupyterLab, Colab) would not.
SITE_ONLY = {
    "a MyST directive": re.compile(r"^\s*(`{3,}|:{3,}|~{3,})\{", re.MULTILINE),
    "a MyST role": re.compile(r"\{[A-Za-z][\w:.+-]*\}`[^`\n]+`"),
    "a MyST target": re.compile(r"^\([\w:.-]+\)=\s*$", re.MULTILINE),
    "a MyST comment": re.compile(r"^%(?!%)", re.MULTILINE),
    "a MyST block break": re.compile(r"^\+\+\+", re.MULTILINE),
    "a substitution": re.compile(r"\{\{\s*\w+\s*\}\}"),
}


def repository_url(config: Path = ROOT / "_config.yml") -> str:
    """The public address of the repository as _config.yml states it; "" where there is none yet."""
    if not config.exists():
        return ""
    settings = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
    url = ((settings.get("sphinx") or {}).get("config") or {}).get("mi_repository_url") or ""
    return str(url).rstrip("/")


def setup_source(url: str) -> str:
    """The first code cell of every notebook: fetches mi_lite alone, and only where it is missing."""
    if url:
        remedy = f'    %pip install --quiet --no-deps "mi_lite @ git+{url}"'
    else:
        remedy = (
            "    raise ImportError(\n"
            '        "mi_lite is not installed here. In a clone of the book: pip install --no-deps -e . ; "\n'
            '        "with a wheel of it: pip install --no-deps mi_lite-*.whl"\n'
            "    )"
        )
    reason = " It is fetched alone, and torch stays as it is." if url else ""
    return f'{SETUP_MARK}{reason}\nimport importlib.util\n\nif importlib.util.find_spec("mi_lite") is None:\n{remedy}'


def is_setup(cell: NotebookNode) -> bool:
    """Whether a cell is the one that fetches mi_lite."""
    return cell.cell_type == "code" and (cell.source.startswith(SETUP_MARK) or "setup" in cell.metadata.get("tags", []))


def kept_output(output: NotebookNode) -> NotebookNode | None:
    """An output with its text alone; None when nothing of it is text."""
    if output.output_type in ("display_data", "execute_result"):
        data = {kind: text for kind, text in output.data.items() if kind == TEXT}
        if not data:
            return None
        output = nbformat.from_dict({"output_type": output.output_type, "data": data, "metadata": {}})
    return output


def merged_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join what a cell printed in several pieces: how many there are depends on timing."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def new_id(cell: NotebookNode, used: set[str]) -> str:
    """A cell's id from its text, so that a changed cell changes no other; twins get a number behind it."""
    base = name = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
    while name in used:
        name = f"{base}-{len(used)}"
    used.add(name)
    return name


def chapter_of(path: Path) -> str:
    """The name that a chapter shares with its exercises: ``03_dynamic_routing`` → ``dynamic_routing``."""
    return path.stem.partition("_")[2]


def normalise(notebook: NotebookNode, url: str, chapter: str = "") -> NotebookNode:
    """The normal form of a notebook, in place, with its chapter's exercises. Doing it twice changes nothing more."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict({"kernelspec": dict(KERNEL), "language_info": {"name": "python"}})
    cells = [cell for cell in notebook.cells if cell.source.strip()]
    setup = next((cell for cell in cells if is_setup(cell)), None)
    if setup is None:
        setup = nbformat.v4.new_code_cell()
    else:
        cells.remove(setup)
    setup.source = setup_source(url)
    setup.metadata = nbformat.from_dict({"tags": list(SETUP_TAGS)})
    setup.outputs = []
    cells = exercise_cells.put(cells, chapter)
    first_code = next((i for i, cell in enumerate(cells) if cell.cell_type == "code"), len(cells))
    cells.insert(first_code, setup)
    count = 0
    used: set[str] = set()
    for cell in cells:
        cell.source = cell.source.strip("\n")
        cell.id = "setup" if cell is setup else new_id(cell, used)
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        cell.pop("attachments", None)
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = merged_streams([kept for kept in map(kept_output, cell.outputs) if kept is not None])
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    notebook.cells = cells
    return notebook


def problems(notebook: NotebookNode, url: str) -> list[str]:
    """What breaks the rules of stored notebooks, one sentence each."""
    found = []
    if not notebook.cells or notebook.cells[0].cell_type != "markdown" or not notebook.cells[0].source.startswith("# "):
        found.append("the first cell must be markdown and start with the chapter's title: '# …'")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if not code or code[0].source != setup_source(url):
        found.append("the first code cell is not the one that fetches mi_lite")
    for place, cell in enumerate(notebook.cells):
        where = f"cell {place} ({cell.source.strip().splitlines()[0][:40] if cell.source.strip() else 'empty'})"
        if cell.cell_type == "markdown":
            text = re.sub(r"^(`{3,})[^{\n]*\n.*?^\1", "", cell.source, flags=re.MULTILINE | re.DOTALL)
            text = re.sub(r"(?<![}`])`[^`\n]+`(?!`)", "", text)  # code within a line; a role's follows a brace
            found += [
                f"{where}: {what}, which only the site renders" for what, at in SITE_ONLY.items() if at.search(text)
            ]
            continue
        if cell.cell_type != "code":
            found.append(f"{where}: a {cell.cell_type} cell; only markdown and code are shown everywhere")
            continue
        lines = len(cell.source.splitlines())
        if lines > LINES_MOST:
            found.append(f"{where}: {lines} lines; aim at {LINES_AIM}, never over {LINES_MOST}")
        if re.search(r"^\s*#\s*(NBVAL_|PYTEST_VALIDATE)", cell.source, re.MULTILINE) or any(
            tag.startswith(("nbval", "pytest")) or tag in ("skip-execution", "raises-exception")
            for tag in cell.metadata.get("tags", [])
        ):
            found.append(f"{where}: takes itself out of the comparison of outputs")
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                found.append(f"{where}: stored with an error: {output.ename}: {output.evalue}"[:200])
            if output.output_type == "stream" and output.name == "stderr":
                found.append(f"{where}: writes to stderr: {output.text.strip()[:120]}")
            rich = [kind for kind in output.get("data", {}) if kind != TEXT]
            if rich:
                found.append(f"{where}: stored rich output {', '.join(rich)}")
    return found


def long_cells(notebook: NotebookNode) -> list[str]:
    """Code cells above the aim but within the bound: worth a look, not an error."""
    code = (
        (place, len(cell.source.splitlines())) for place, cell in enumerate(notebook.cells) if cell.cell_type == "code"
    )
    return [
        f"cell {place}: {lines} lines, aim at {LINES_AIM}" for place, lines in code if LINES_AIM < lines <= LINES_MOST
    ]


def execute(notebook: NotebookNode, folder: Path) -> float:
    """Execute a notebook in place with this environment's Python; return the seconds it took."""
    use_environment_variables(Path(sys.prefix))
    start = time.monotonic()
    manager = AsyncKernelManager(kernel_name="python3")
    manager.kernel_spec.argv[0] = sys.executable
    client = NotebookClient(
        notebook, km=manager, timeout=SECONDS_PER_CELL, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return time.monotonic() - start


def written(notebook: NotebookNode) -> str:
    """The text of the stored file: sorted keys, one space of indent, a newline at the end."""
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"


def between(text: str, name: str, content: str) -> str:
    """Put `content` between the lines that mark a generated part (<!-- name --> … <!-- /name -->, or # in YAML)."""
    pattern = re.compile(
        rf"(?P<head>^.*\b{name}: generated\b.*\n)(?:.*\n)*?(?P<tail>^.*\bend of {name}\b.*$)", re.MULTILINE
    )
    return pattern.sub(lambda found: found["head"] + content + found["tail"], text)


def addressed(name: str, text: str, url: str) -> str:
    """README.md or CITATION.cff with the repository's address where it belongs; without one, with none."""
    if name == "README.md":
        owner_and_name = url.removeprefix("https://github.com/")
        badges = (
            f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
            f"(https://colab.research.google.com/github/{owner_and_name}/blob/main/notebooks/01_one_user_many_interests.ipynb)\n"
            f"[![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/{owner_and_name}/main)\n"
        )
        return between(text, "address", badges if url.startswith("https://github.com/") else "")
    return between(text, "address", f'repository-code: "{url}"\n' if url else "")


def chosen(names: list[str]) -> list[Path]:
    """The notebooks asked for, by path or by name; all of them when none is named."""
    every = sorted(NOTEBOOKS.glob("*.ipynb"))
    if not names:
        return every
    paths = []
    for name in names:
        path = Path(name) if Path(name).exists() else NOTEBOOKS / f"{Path(name).stem}.ipynb"
        if not path.exists():
            raise SystemExit(f"There is no notebook {name}; there are: {', '.join(p.stem for p in every) or 'none'}")
        paths.append(path)
    return paths


def store_addresses(url: str) -> None:
    """Write the repository's address wherever it is derived."""
    for name in ("README.md", "CITATION.cff"):
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        after = addressed(name, before, url)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"{name}: address updated")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--execute", action="store_true", help="execute, normalise and store")
    what.add_argument("--normalise", action="store_true", help="normalise and store what is there")
    what.add_argument("--check", action="store_true", help="change nothing, say what breaks the rules")
    parser.add_argument("names", nargs="*", help="which notebooks (default: all)")
    options = parser.parse_args(arguments)
    url, bad = repository_url(), 0
    for path in chosen(options.names):
        before = path.read_text(encoding="utf-8")
        notebook = nbformat.reads(before, as_version=4)
        line = path.stem
        if options.execute:
            print(f"{path.stem} …", end=" ", flush=True)
            normalise(notebook, url, chapter_of(path))  # the setup cell must be there before it runs
            try:
                line = f"{execute(notebook, path.parent):.1f} s"
            except CellExecutionError as failure:
                print(f"stopped, nothing stored:\n{failure}")
                bad += 1
                continue
        after = written(normalise(notebook, url, chapter_of(path)))
        if options.check:
            notebook = nbformat.reads(before, as_version=4)
        found = problems(notebook, url)
        if options.check and after != before:
            found.append("not in the stored form: run make notebooks")
        if not options.check and after != before:
            path.write_text(after, encoding="utf-8")
            line += ", stored"
        bad += len(found)
        for text in [line if options.execute or found or after != before else "", *found, *long_cells(notebook)]:
            if text:
                print(text if text == line else f"  {path.name}: {text}", flush=True)
    if options.execute:
        store_addresses(url)
    if bad:
        print(f"{bad} thing{'s' * (bad > 1)} to mend in the notebooks; CONTRIBUTING.md has the rules and the reasons.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
