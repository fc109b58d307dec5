"""The console script `bakeoff-runs`: lists the runs of a sweep, or prints the commands that repeat them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bakeoff.errors import UserError, did_you_mean
from bakeoff.report.filters import select
from bakeoff.report.metric import DIRECTIONS, METRIC, resolve_metric
from bakeoff.report.records import Record, Sweep, read_sweep_with_runs
from bakeoff.report.repeat import command_of
from bakeoff.report.run_order import KEYS, sort_runs
from bakeoff.report.runs_csv import runs_csv
from bakeoff.report.runs_table import errors_in_full, runs_table
from bakeoff.report.table import visible
from bakeoff.report.terminal import escape_unencodable_output, write

FILTERS = """\
filters:
  optimizer=adam            a choice, written as for bakeoff; optimizer.lr=1e-2 also finds 0.01
  optimizer=sgd,adam        one of several
  status=failed seed=0      several filters: runs that match all of them
  batch_size!=full          all others
  loss=-                    runs that leave the choice at its default
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 2 after one line on stderr about what the user can repair."""
    arguments = _parser().parse_intermixed_args(argv)
    escape_unencodable_output()
    try:
        sweep = read_sweep_with_runs(arguments.sweep)
        metric = _metric(sweep.records, arguments.metric)
        picked = select(sweep.records, arguments.filters)
        if arguments.sort:
            picked = sort_runs(picked, arguments.sort, metric, arguments.direction)
        text = _text(arguments.show, sweep, picked, metric)
    except (UserError, OSError) as error:
        print(f"bakeoff-runs: {visible(str(error))}", file=sys.stderr)
        return 2
    write(text)
    if arguments.show != "table":  # the table names them itself
        for run in sweep.unreadable:
            print(f"bakeoff-runs: unreadable: {visible(f'{run.path}: {run.reason}')}", file=sys.stderr)
    return 0


def _text(show: str, sweep: Sweep, picked: Sequence[Record], metric: str) -> str:
    match show:
        case "csv":
            return runs_csv(picked)
        case "command":
            return "".join(f"{command_of(record)}\n" for record in picked)
        case "errors":
            return errors_in_full(sweep, picked)
    return runs_table(sweep, picked, metric)


def _metric(records: Sequence[Record], asked: str) -> str:
    """Any that some run has, also of training or test data: nothing is ranked here."""
    metric = resolve_metric(records, asked)
    known = sorted({name for record in records for name in record.metrics})
    if known and metric not in known and metric != METRIC:
        raise UserError(f"no run has the metric {metric}{did_you_mean(metric, known)}; there are {', '.join(known)}")
    return metric


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bakeoff-runs",
        description="List the runs of a sweep, and how each of them ended.",
        epilog=FILTERS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweep", type=Path, metavar="SWEEP_FOLDER", help="for example outputs/main")
    parser.add_argument("filters", nargs="*", metavar="FILTER", help="list only some runs; see below")
    parser.add_argument("--metric", default=METRIC, help="whose final value is shown (default: %(default)s)")
    parser.add_argument(
        "--direction", choices=DIRECTIONS, help="whether that metric is better small or large, if no run says"
    )
    parser.add_argument("--sort", metavar="KEY", help=f"{', '.join(KEYS)} or a choice; the best metric comes first")
    shows = parser.add_mutually_exclusive_group()
    for name, text in {
        "csv": "print the runs as CSV, with every metric",
        "command": "print, for each run, the command that repeats it",
        "errors": "print what went wrong, with tracebacks",
    }.items():
        shows.add_argument(f"--{name}", dest="show", action="store_const", const=name, default="table", help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main())
