"""Runs every program of a folder as a module, each behind those it imports.

python tools/run_all.py experiments          all of them
python tools/run_all.py experiments NAME     one
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def programs(folder: Path) -> list[str]:
    """The programs of a folder, each behind those it imports, since it may read what they store.

    A program has a line `if __name__ == "__main__":`; the other files are shared code.
    """
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}
    texts = {name: text for name, text in texts.items() if 'if __name__ == "__main__":' in text}
    imported = {
        name: [other for other in texts if re.search(rf"^from {folder.name}\.{other} import", text, re.MULTILINE)]
        for name, text in texts.items()
    }
    return list(TopologicalSorter(imported).static_order())


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    folder, wanted = arguments[0], arguments[1:]
    names = programs(ROOT / folder)
    unknown = [name for name in wanted if name not in names]
    if unknown or not names:
        print(
            f"{folder}/ has {', '.join(names) or 'no programs'}; asked for: {', '.join(unknown) or 'all'}",
            file=sys.stderr,
        )
        return 1
    for name in wanted or names:
        print(f"== {folder}.{name}", flush=True)
        start = time.monotonic()
        status = subprocess.run([sys.executable, "-m", f"{folder}.{name}"], cwd=ROOT).returncode
        if status:
            print(f"{folder}.{name} stopped with status {status}; run it again and it goes on.", file=sys.stderr)
            return status
        print(f"== {folder}.{name}: {time.monotonic() - start:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
