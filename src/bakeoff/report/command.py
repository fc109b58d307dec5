"""The console script `bakeoff-report`: prints what a sweep says, as text or JSON, or its runs as CSV."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bakeoff.errors import UserError
from bakeoff.report.metric import DIRECTIONS, METRIC, resolve_metric
from bakeoff.report.records import Sweep, read_sweep_with_runs
from bakeoff.report.runs_csv import runs_csv
from bakeoff.report.sweep_text import sweep_text
from bakeoff.report.table import visible
from bakeoff.report.terminal import escape_unencodable_output, write
from bakeoff.report.verdict_json import verdict_text


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 2 after one line on stderr about what the user can repair."""
    arguments = _parser().parse_args(argv)
    escape_unencodable_output()
    try:
        sweep = read_sweep_with_runs(arguments.sweep)
        text = _text(sweep, arguments)
    except (UserError, OSError) as error:
        print(f"bakeoff-report: {visible(str(error))}", file=sys.stderr)
        return 2
    write(text)
    if arguments.csv:  # the others name them themselves
        for run in sweep.unreadable:
            print(f"bakeoff-report: unreadable: {visible(f'{run.path}: {run.reason}')}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bakeoff-report", description="Show the runs of a sweep side by side.")
    parser.add_argument("sweep", type=Path, metavar="SWEEP_FOLDER", help="for example outputs/main")
    parser.add_argument("--metric", default=METRIC, help="validation metric that ranks the arms (default: %(default)s)")
    parser.add_argument(
        "--direction", choices=DIRECTIONS, help="whether a metric of your own is better small or large, if no run says"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print one row for each run as CSV, with every metric")
    form.add_argument("--json", action="store_true", help="print what the sweep says as JSON, for programs")
    return parser


def _text(sweep: Sweep, arguments: argparse.Namespace) -> str:
    if arguments.csv:
        return runs_csv(sweep.records)
    metric, direction = resolve_metric(sweep.records, arguments.metric), arguments.direction
    if arguments.json:
        return verdict_text(sweep, metric=metric, direction=direction)
    return sweep_text(sweep, metric=metric, direction=direction)


if __name__ == "__main__":
    sys.exit(main())
