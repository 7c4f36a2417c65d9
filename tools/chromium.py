"""Finds the Chromium (or Chrome) that the browser tests drive, or says how to install one.

    python tools/chromium.py

prints its path, or the command that installs it and stops with status 1. The variable CHROMIUM names another one.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PLACES = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)
INSTALL = """The tests of the site need Chromium, and none was found.
  Debian:  sudo apt install chromium
  Ubuntu:  sudo snap install chromium
  macOS:   brew install --cask google-chrome
Or name one: CHROMIUM=/path/to/chromium make test"""


def find_chromium() -> str | None:
    """The path of a Chromium or Chrome, None where there is none. A wrong CHROMIUM counts as none."""
    named = os.environ.get("CHROMIUM")
    if named:
        return shutil.which(named)
    found = (shutil.which(name) for name in NAMES)
    return next((path for path in found if path), None) or next((path for path in PLACES if Path(path).exists()), None)


def main() -> int:
    path = find_chromium()
    print(path or INSTALL, file=sys.stdout if path else sys.stderr)
    return 0 if path else 1


if __name__ == "__main__":
    sys.exit(main())
