"""One row for each run, as CSV: everything that the records hold, for a spreadsheet or a data frame."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from bakeoff.report.arms import as_text
from bakeoff.report.record import Record

FIELDS = (
    *("folder", "seed", "status", "identity", "steps", "epochs", "samples", "seconds", "device"),
    *("started", "ended", "host", "process"),
)
ERROR_FIELDS = ("type", "message", "step")


def runs_csv(records: Sequence[Record]) -> str:
    """Columns: the run's fields, every key of any arm, every metric (`final` under its own name), the error.

    What a run does not have is an empty cell. Values are exact: reading a number back gives the same number.
    """
    keys = list(dict.fromkeys(key for record in records for key in record.arm))
    metrics = sorted({(name, entry) for r in records for name, values in r.metrics.items() for entry in values})
    # `final` first, under the bare name of the metric
    metrics.sort(key=lambda pair: (pair[0], pair[1] != "final", pair[1]))
    header = [name if entry == "final" else f"{name} {entry}" for name, entry in metrics]
    out = io.StringIO()
    # lists and no DictWriter: an arm's key may be called `steps`, and would replace the field of that name
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*FIELDS, *keys, *header, *(f"error {field}" for field in ERROR_FIELDS)])
    for record in records:
        writer.writerow(
            [
                *(getattr(record, field) for field in FIELDS),
                *(as_text(record.arm[key]) if key in record.arm else None for key in keys),
                *(record.metrics.get(name, {}).get(entry) for name, entry in metrics),
                *((record.error or {}).get(field) for field in ERROR_FIELDS),
            ]
        )
    return out.getvalue()
