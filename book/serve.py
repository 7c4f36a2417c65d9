"""Serve the built site on this machine: the site's policy as a header, right types, its own page for what is missing.

python book/serve.py [--port 8000] [--folder _build/html]
"""

from __future__ import annotations

import argparse
import re
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".ipynb": "application/x-ipynb+json",
    ".md": "text/markdown; charset=utf-8",
}


def policy(folder: Path) -> str:
    """The policy that the pages state themselves, so that it stands in one place."""
    page = (folder / "index.html").read_text(encoding="utf-8")
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    if not found:
        raise ValueError(f"{folder / 'index.html'} states no Content-Security-Policy; build the site with 'make book'.")
    return found.group(1)


class Handler(SimpleHTTPRequestHandler):
    extensions_map: ClassVar[dict[str, str]] = {**SimpleHTTPRequestHandler.extensions_map, **TYPES}

    def __init__(self, *args: object, headers_to_add: dict[str, str], quiet: bool = False, **kwargs: object) -> None:
        self.headers_to_add, self.quiet = headers_to_add, quiet
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def end_headers(self) -> None:
        for name, value in self.headers_to_add.items():
            self.send_header(name, value)
        super().end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        missing = Path(self.directory, "404.html")
        if code != 404 or not missing.exists():
            return super().send_error(code, message, explain)
        body = missing.read_bytes()
        self.send_response(404)
        self.send_header("Content-Type", TYPES[".html"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return None

    def log_message(self, format: str, *args: object) -> None:
        if not self.quiet:
            super().log_message(format, *args)


def make_server(folder: Path, port: int = 0, quiet: bool = False) -> ThreadingHTTPServer:
    """A server on the loopback address; port 0 takes any free one. Raises ValueError where no site has been built."""
    if not (folder / "index.html").exists():
        raise ValueError(f"There is no built site in {folder}. Run 'make book' first.")
    headers = {
        "Content-Security-Policy": policy(folder),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    handler = partial(Handler, directory=str(folder), headers_to_add=headers, quiet=quiet)
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the built book on this machine.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--folder", type=Path, default=Path(__file__).resolve().parent.parent / "_build" / "html")
    options = parser.parse_args()
    try:
        server = make_server(options.folder, options.port)
    except ValueError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"Port {options.port} cannot be used ({error.strerror}). Try another one: --port {options.port + 1}")
    print(f"The book is at http://127.0.0.1:{server.server_port}/  (Ctrl+C ends it)")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
