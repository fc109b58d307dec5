"""Which metric a report is about."""

from collections.abc import Iterable

from bakeoff.errors import UserError
from bakeoff.report.record import Record
from bakeoff.words import did_you_mean

METRIC = "val/accuracy"


def usual_metric(records: Iterable[Record], metric: str) -> str:
    """The metric itself; the default stands for RMSE where all records are of regressions."""
    known = {name for record in records for name in record.metrics}
    is_default = metric == METRIC and METRIC not in known
    return "val/rmse" if is_default and "val/rmse" in known else metric


def on_test_data(metric: str) -> str:
    """The name of the same metric on test data."""
    return f"test/{metric.removeprefix('val/')}"


def check_metric(records: Iterable[Record], metric: str) -> None:
    """Raise UserError for a metric that no run has, and for one that is not measured on validation data.

    Runs without any metric, as when none has got that far, raise nothing.
    """
    known = sorted({name for record in records for name in record.metrics if name.startswith("val/")})
    if metric in known:
        return
    twin = f"val/{metric.rpartition('/')[2]}"
    hint = did_you_mean(twin if twin in known else metric, known)
    if not metric.startswith("val/"):
        raise UserError(f"metric must be a validation metric, as in {METRIC}, got {metric}{hint}")
    if known:
        raise UserError(f"no run has the metric {metric}{hint}; there are {', '.join(known)}")
