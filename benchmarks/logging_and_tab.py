"""What logging costs a run, and how fast the tab draws, beside TensorBoard's own dashboard on the same sweep.

    python benchmarks/logging_and_tab.py                                # logging of the demo's runs; the tab
    python benchmarks/logging_and_tab.py --cnn --root /path/to/data     # logging of a Fashion-MNIST epoch with cnn

Logging is all that is done for TensorBoard: curves, axes, sampled steps, pictures, event files. The other side of a
pair is the same run without any of it. Both orders alternate; the figures are CPU times, and medians of the pairs'
ratios, with their quartiles; and, since neighbours make even CPU time vary, the ratio of the fastest on either side.

The tab is opened in headless Chromium over a TensorBoard that has just started and has read nothing for it, then again
over the same one. The clock starts with the navigation, or with the frame of the tab, and stops when the page says that
it has drawn. Needs Playwright (in the `dev` extra) and Chromium.
"""

# Not called tensorboard.py: here it would hide the package from every benchmark in this folder.

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from unittest import mock

import hardware
import steps
from playwright.sync_api import FrameLocator, Page
from synthetic import write_sweep

import bakeoff.train.session_members
from bakeoff.launch.register import register_with_hydra
from bakeoff.overview import Overview
from bakeoff.train import RunSession, silence, train_solo
from bakeoff.train.event_writer import RunEventWriter
from bakeoff.train.member import SessionMember

sys.path.append(str(Path(__file__).resolve().parents[1] / "docs"))
import screenshot

DEMO = ["budget.steps=600", "trainer.threads=1", "trainer=cpu"]  # as in experiment=demo
DEMO_RUNS = [f"optimizer={o} batch_size={b}" for o in ("sgd", "rmsprop", "adam") for b in ("16", "128", "full")]
CNN = ["data=fashion_mnist", "model=cnn", "optimizer=adam", "optimizer.lr=2.5e-4", "batch_size=128"]
UNSAMPLED = ["trainer.log_every_n_steps=1000000", "trainer.sample_every_n_steps=1000000"]
SIZES = (81, 1000)
CHANGES = {"rows": "Rows", "columns": "Columns", "colours": "Colour"}


class NoEventWriter(SessionMember):
    """In place of a run's event writer: nothing is written."""

    def __init__(self, *arguments: object) -> None: ...

    def flush(self) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=9, help="of a run with logging and the same run without")
    parser.add_argument("--cnn", action="store_true", help="measure one Fashion-MNIST epoch in place of the demo")
    parser.add_argument("--epochs", type=float, default=1.0, help="of the CNN; in a part of one, logging weighs more")
    parser.add_argument("--root", default="data", help="the folder that holds FashionMNIST/raw")
    parser.add_argument("--skip-logging", action="store_true", help="measure the tab alone")
    parser.add_argument("--rounds", type=int, default=5, help="of each change in the tab")
    arguments = parser.parse_args()
    register_with_hydra()
    silence()
    print(hardware.describe())
    if arguments.cnn:
        command = [*CNN, f"data.root='{arguments.root}'", f"budget.epochs={arguments.epochs}"]
        logging_cost(f"Fashion-MNIST, cnn, {arguments.epochs:g} epochs", [command], arguments.pairs)
        return
    if not arguments.skip_logging:
        logging_cost("the demo's runs, cross-entropy", [[*DEMO, *run.split()] for run in DEMO_RUNS], arguments.pairs)
    for runs in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            sweep = Path(folder) / "sweep"
            write_sweep(sweep, runs=runs)
            tab(sweep, runs, arguments.rounds)


def logging_cost(name: str, commands: list[list[str]], pairs: int) -> None:
    """One pair trains every command once with and once without, in random order."""
    shuffler, pairs_spent = random.Random(0), []
    for command in commands:  # warm: what is imported or compiled at first use
        cpu_seconds(command, logged=True)
    for _ in range(pairs):
        spent = {True: 0.0, False: 0.0}
        for command in commands:
            for logged in shuffler.sample([True, False], 2):
                spent[logged] += cpu_seconds(command, logged=logged)
        pairs_spent.append(spent)
    low, middle, high = quantiles([spent[True] / spent[False] - 1 for spent in pairs_spent], n=4)
    fastest = {logged: min(spent[logged] for spent in pairs_spent) for logged in (True, False)}
    print(
        f"\nlogging, {name}: {pairs} pairs of {len(commands)} runs, fastest with logging {fastest[True]:.2f} s of CPU"
    )
    print(f"  costs {middle:.1%} of the training without it (quartiles {low:.1%} to {high:.1%})")
    print(f"  of the fastest on either side {fastest[True] / fastest[False] - 1:.1%}")


def cpu_seconds(command: list[str], *, logged: bool) -> float:
    run = steps.prepare(command if logged else [*command, *UNSAMPLED])
    writer = RunEventWriter if logged else NoEventWriter
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(bakeoff.train.session_members, "RunEventWriter", writer),
    ):
        started = time.process_time()
        outcome = train_solo(RunSession(run, Path(folder) / "arm" / "seed=0"))
        spent = time.process_time() - started
    assert outcome.status == "completed", outcome.error
    return spent


def tab(sweep: Path, runs: int, rounds: int) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "needs Chromium"
    print(f"\n{runs} runs, 3 metrics x 200 points")
    with clock("overview of the sweep (HParams, bands, leaderboard, pictures), from nothing"):
        Overview(sweep, "val/accuracy").update()
    with screenshot.tensorboard(sweep) as address, screenshot.browser_page(chromium) as page:
        for state in ("server has read nothing for it", "again"):
            page.goto("about:blank")
            with clock(f"TensorBoard's page and the tab in it; {state}"):
                page.goto(f"{address}/#bakeoff")
                wait_for_drawing(page, 1)
            print(f"    of which the tab: {tab_seconds(page):.2f} s")
        for what, label in CHANGES.items():
            times = [change(page, label) for _ in range(rounds)]
            print(f"  change of {what}: {median(times):.2f} s (at most {max(times):.2f})")
        with clock("TensorBoard's own Time Series, val/accuracy, of the same sweep"):
            page.goto("about:blank")
            screenshot.open_time_series(page, address, tagFilter="^val/accuracy$", smoothing="0")


@contextmanager
def clock(what: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    print(f"  {what}: {time.perf_counter() - started:.2f} s")


def frame(page: Page) -> FrameLocator:
    return page.frame_locator("plugins-component iframe")


def wait_for_drawing(page: Page, count: int) -> None:
    main = frame(page).locator("main[aria-busy=false]")
    main.wait_for(timeout=120_000)
    deadline = time.monotonic() + 120
    while int(main.get_attribute("data-drawn") or 0) < count:
        assert time.monotonic() < deadline, "the tab draws nothing"
        time.sleep(0.01)


def tab_seconds(page: Page) -> float:
    """From the creation of the tab's frame, with everything that it loads and asks for, to its first drawing."""
    drawn = "() => performance.getEntriesByName('bakeoff-drawn')[0].startTime"
    return float(page.frames[-1].evaluate(drawn)) / 1e3


def change(page: Page, label: str) -> float:
    """Seconds from another choice in one of the menus until it is drawn."""
    menu = frame(page).get_by_label(label, exact=True)
    drawn = int(frame(page).locator("main").get_attribute("data-drawn") or 0)
    options = menu.locator("option").evaluate_all("nodes => nodes.map(node => node.value)")
    other = next(value for value in options if value and value != menu.input_value())
    started = time.perf_counter()
    menu.select_option(other)
    wait_for_drawing(page, drawn + 1)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
