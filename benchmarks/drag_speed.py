"""What one input event of a live figure costs: script, style and layout, over a five-second drag.

    python -m benchmarks.drag_speed [SITE]

Drags the first point of every live figure of the built site in a circle, or its last slider to and fro, at full speed
and at a fourth of it, phone and desktop, and prints median and 95th percentile in milliseconds. The bounds: 8 ms, and
32 ms at a fourth of the speed.
Writes ``benchmarks/results/drag_speed.json``. Run it while nothing else runs.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks._common import RESULTS
from tools.chromium import find_chromium

ROOT = Path(__file__).resolve().parent.parent
SECONDS, EVENTS = 5.0, 150
BOUNDS = {1: 8.0, 4: 32.0}
SIZES = {"phone": {"width": 360, "height": 780}, "desktop": {"width": 1280, "height": 900}}
WAKE = "e => { e.scrollIntoView({ block: 'start' }); return e.dataset.live !== undefined; }"
NEXT = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))"


def spent(session: CDPSession) -> float:
    """Milliseconds of script, style and layout since the page began."""
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    return 1000 * float(metrics["ScriptDuration"] + metrics["RecalcStyleDuration"] + metrics["LayoutDuration"])


def drag(page: Page, module: str, slowdown: int) -> dict[str, float]:
    """Drag the first point round, or the last slider to and fro, for five seconds; milliseconds of each event."""
    figure = page.locator(f'[data-module="{module}"]').first
    for _ in range(60):
        if figure.evaluate(WAKE):
            break
        page.wait_for_timeout(100)
    handle, slider = figure.locator(".mi-live-handle").first, figure.locator("input[type=range]").last
    turning = handle.count() > 0
    handle = handle if turning else slider
    handle.scroll_into_view_if_needed()
    page.wait_for_timeout(800)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    session.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    page.evaluate(
        "() => { window.long = 0; new PerformanceObserver((l) => { window.long += l.getEntries().length; })"
        ".observe({ type: 'longtask' }); }"
    )
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    wide, high = (30.0, 30.0) if turning else (0.45 * box["width"], 0.0)
    page.mouse.move(x, y)
    page.mouse.down()
    took = []
    for i in range(EVENTS):
        started, before = time.perf_counter(), spent(session)
        turn = 2 * math.pi * i / 50
        page.mouse.move(x + wide * math.sin(turn), y + high * (1 - math.cos(turn)))
        page.evaluate(NEXT)
        page.evaluate(NEXT)
        took.append(spent(session) - before)
        time.sleep(max(0.0, SECONDS / EVENTS - (time.perf_counter() - started)))
    page.mouse.up()
    session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    return {
        "median": round(float(np.median(took)), 2),
        "p95": round(float(np.percentile(took, 95)), 2),
        "long_tasks": page.evaluate("window.long"),
    }


def figures(site: Path) -> dict[str, str]:
    """Each live figure and the first page that shows it."""
    found: dict[str, str] = {}
    for path in sorted(site.rglob("*.html")):
        for part in path.read_text(encoding="utf-8").split('data-module="')[1:]:
            found.setdefault(part.split('"', 1)[0], path.relative_to(site).as_posix())
    return found


def table(browser: Browser, base: str, site: Path) -> list[dict[str, Any]]:
    rows = []
    for module, place in figures(site).items():
        for size, viewport in SIZES.items():
            for slowdown, bound in BOUNDS.items():
                page = browser.new_page(viewport=viewport)
                page.goto(base + place)
                row = {"figure": module, "window": size, "slowdown": slowdown, **drag(page, module, slowdown)}
                page.close()
                rows.append(row)
                verdict = "" if row["p95"] <= bound and not row["long_tasks"] else "  over the bound"
                print(f"{module:24} {size:8} {slowdown}x  median {row['median']:6.2f}  p95 {row['p95']:6.2f} ms"
                      f"  long tasks {row['long_tasks']}{verdict}", flush=True)  # fmt: skip
    return rows


def main() -> None:
    sys.path.insert(0, str(ROOT / "book"))
    from serve import make_server

    site = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "_build" / "html"
    server = make_server(site, quiet=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        rows = table(browser, f"http://127.0.0.1:{server.server_port}/", site)
        result = {"date": time.strftime("%Y-%m-%d"), "chromium": browser.version, "events": EVENTS, "rows": rows}
        browser.close()
    server.shutdown()
    (RESULTS / "drag_speed.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
