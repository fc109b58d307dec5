"""Take pictures of a sweep in TensorBoard: our tab, HParams, and Time Series with runs coloured by optimizer.

    python docs/screenshot.py outputs/demo docs

Needs Playwright (in the `dev` extra) and the system's Chromium; both work without a network. Start it again after a
change to the demo, and look at the pictures before they are committed.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode
from urllib.request import urlopen

from playwright.sync_api import FrameLocator, Page, sync_playwright

VIEW = {
    "runColorGroup": "regex:optimizer=(sgd|rmsprop|adam)",
    "tagFilter": "^(val/accuracy|train/loss|grad/norm|update/ratio)$",
    "runFilter": "/seed=",  # the aggregate runs have other tags
    "smoothing": "0",
}
# TensorBoard's own stored settings: run names in full, no settings pane, no table below each chart
SETTINGS = {"sideBarWidthInPercent": 40, "timeSeriesSettingsPaneOpened": False, "stepSelectorEnabled": False}
# as root Chromium has no sandbox; the rest keeps it from looking for a GPU or the network
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
# the list is longer than the picture: show where one colour ends and the next begins
SCROLL_TO_SECOND_COLOUR = """() => {
  const swatches = [...document.querySelectorAll("runs-data-table .run-color-swatch")];
  const second = swatches.find(s => s.style.background !== swatches[0].style.background);
  second?.scrollIntoView({block: "center"});
}"""


@contextmanager
def tensorboard(sweep: Path) -> Iterator[str]:
    """Serve `sweep` on a free port of this machine alone; gives the address once every run has been read."""
    options = ["--logdir", str(sweep), "--host", "127.0.0.1", "--port", "0"]
    command = [sys.executable, "-m", "tensorboard.main", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            matches = (re.search(r" at (http://\S+?)/? ", line) for line in process.stderr or ())
            found = next(filter(None, matches), None)
            if found is None:
                raise RuntimeError(f"TensorBoard ended before it served {sweep}")
            _wait_for_runs(found[1], {str(file.parent.relative_to(sweep)) for file in sweep.rglob("*.tfevents.*")})
            yield found[1]
        finally:
            process.terminate()


def _wait_for_runs(address: str, runs: set[str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while missing := runs - _runs_read(address):
        if time.monotonic() > deadline:
            raise TimeoutError(f"TensorBoard did not read {len(missing)} of {len(runs)} runs in {seconds:.0f} s")
        time.sleep(0.1)


def _runs_read(address: str) -> set[str]:
    with urlopen(f"{address}/data/runs") as answer:
        return set(json.load(answer))


@contextmanager
def browser_page(chromium: str) -> Iterator[Page]:
    """An empty page of a Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        try:
            yield browser.new_page(viewport={"width": 1600, "height": 900})
        finally:
            browser.close()


def open_time_series(page: Page, address: str, **view: str) -> None:
    """Open the Time Series view with its deep-link parameters; returns when no card is loading any more."""
    page.goto(f"{address}/?{urlencode(view, quote_via=quote)}#timeseries")
    page.wait_for_selector("metrics-filtered-view line-chart")
    page.wait_for_function("() => !document.querySelector('card-view mat-spinner')")


def open_hparams(page: Page, address: str) -> None:
    """Open the table of arms."""
    page.goto(f"{address}/#hparams")
    cells = page.locator("tf-hparams-table-view vaadin-grid-cell-content")
    cells.filter(has_text=re.compile(r"\d\.\d")).first.wait_for()


def open_tab(page: Page, address: str) -> FrameLocator:
    """Open our tab; returns the frame that it lives in when it has drawn."""
    page.goto(f"{address}/#bakeoff")
    frame = page.frame_locator("plugins-component iframe")
    frame.locator("main[aria-busy=false]:not([data-drawn='0'])").wait_for()
    return frame


def take(page: Page, png: Path) -> None:
    """Write the picture once two in a row are equal: charts are drawn in steps and do not say when they are done."""
    last, now = b"", page.screenshot()
    while now != last:
        page.wait_for_timeout(300)
        last, now = now, page.screenshot()
    png.write_bytes(now)


def main(argv: list[str] | None = None) -> None:
    """Read the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    arguments = parser.parse_args(argv)
    if arguments.chromium is None:
        parser.error("no Chromium found: install it, or give its path with --chromium")
    with tensorboard(arguments.sweep) as address, browser_page(arguments.chromium) as page:
        page.add_init_script(f"localStorage.setItem('_tb_global_settings.timeseries', '{json.dumps(SETTINGS)}')")
        open_tab(page, address)
        take(page, arguments.folder / "tensorboard-tab.png")
        page.goto("about:blank")  # a change of the hash alone would load nothing again
        open_hparams(page, address)
        take(page, arguments.folder / "tensorboard-hparams.png")
        page.goto("about:blank")
        open_time_series(page, address, **VIEW)
        page.evaluate(SCROLL_TO_SECOND_COLOUR)
        take(page, arguments.folder / "tensorboard-time-series.png")


if __name__ == "__main__":
    main()
