"""The console script `bakeoff-report`: print the leaderboard of a sweep, or its runs as CSV."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bakeoff.errors import UserError
from bakeoff.report.leaderboard import render
from bakeoff.report.ranking import METRIC, usual_metric
from bakeoff.report.records import Sweep, read_sweep, run_folders
from bakeoff.report.runs_csv import runs_csv
from bakeoff.report.table import visible


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 2 after one line on stderr about what the user can repair."""
    arguments = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without Unicode shows \u2026 and goes on
            stream.reconfigure(errors="backslashreplace")
    try:
        sweep = _read(arguments.sweep)
        text = runs_csv(sweep.records) if arguments.csv else _leaderboard(sweep, arguments.metric)
    except (UserError, OSError) as error:
        print(f"bakeoff-report: {visible(str(error))}", file=sys.stderr)
        return 2
    _write(text)
    if arguments.csv:  # the leaderboard names them itself
        for problem in sweep.problems:
            print(f"bakeoff-report: lost: {visible(f'{problem.path}: {problem.reason}')}", file=sys.stderr)
    return 0


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader, such as `head`, has seen enough; the interpreter would complain again at its own end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bakeoff-report", description="Show the runs of a sweep side by side.")
    parser.add_argument("sweep", type=Path, metavar="SWEEP_FOLDER", help="for example outputs/main")
    parser.add_argument("--metric", default=METRIC, help="validation metric that ranks the arms (default: %(default)s)")
    parser.add_argument("--csv", action="store_true", help="print one row a run as CSV, with every metric")
    return parser


def _leaderboard(sweep: Sweep, metric: str) -> str:
    metric = usual_metric(sweep.records, metric)
    return render(sweep.records, sweep.problems, metric=metric, policy=sweep.policy)


def _read(folder: Path) -> Sweep:
    sweep = read_sweep(folder)
    if sweep.records or sweep.problems:
        return sweep
    # the most likely slip: the folder above the sweeps, outputs/ in place of outputs/main
    sweeps = [str(child) for child in sorted(folder.iterdir()) if child.is_dir() and run_folders(child)]
    hint = f"; did you mean {' or '.join(sweeps)}?" if sweeps else ""
    raise UserError(f"no runs in {folder}: a sweep folder holds <arm>/seed=<n>/outcome.json{hint}")


if __name__ == "__main__":
    sys.exit(main())
