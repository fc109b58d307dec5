"""The console script `bakeoff-report`: print the leaderboard of a sweep, or its runs as CSV."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bakeoff.errors import UserError
from bakeoff.report.leaderboard import render
from bakeoff.report.metric import METRIC, usual_metric
from bakeoff.report.records import Sweep, sweep_at
from bakeoff.report.runs_csv import runs_csv
from bakeoff.report.table import visible
from bakeoff.report.terminal import show_what_a_terminal_can, write


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 2 after one line on stderr about what the user can repair."""
    arguments = _parser().parse_args(argv)
    show_what_a_terminal_can()
    try:
        sweep = sweep_at(arguments.sweep)
        text = runs_csv(sweep.records) if arguments.csv else _leaderboard(sweep, arguments.metric)
    except (UserError, OSError) as error:
        print(f"bakeoff-report: {visible(str(error))}", file=sys.stderr)
        return 2
    write(text)
    if arguments.csv:  # the leaderboard names them itself
        for problem in sweep.problems:
            print(f"bakeoff-report: lost: {visible(f'{problem.path}: {problem.reason}')}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bakeoff-report", description="Show the runs of a sweep side by side.")
    parser.add_argument("sweep", type=Path, metavar="SWEEP_FOLDER", help="for example outputs/main")
    parser.add_argument("--metric", default=METRIC, help="validation metric that ranks the arms (default: %(default)s)")
    parser.add_argument("--csv", action="store_true", help="print one row a run as CSV, with every metric")
    return parser


def _leaderboard(sweep: Sweep, metric: str) -> str:
    metric = usual_metric(sweep.records, metric)
    return render(sweep.records, sweep.problems, metric=metric, policy=sweep.policy)


if __name__ == "__main__":
    sys.exit(main())
