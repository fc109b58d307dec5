"""One run as reports see it: the outcome in its folder, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bakeoff.runs.outcome import FILE_NAME, Outcome, parse_outcome


@dataclass
class Record(Outcome):
    """The outcome of one run, with the `path` of its folder.

    `fraction_done` is the part of the budget that a running one has spent, where that is known. While it is running,
    `host` and `process` say where.
    """

    path: Path = field(kw_only=True)
    fraction_done: float | None = field(default=None, kw_only=True)

    @property
    def folder(self) -> str:
        """Name of the arm's folder, which tells arms apart."""
        return self.path.parent.name

    def final(self, metric: str) -> float | None:
        """The metric's final value; None when the run has none or it was not finite."""
        return self.metrics.get(metric, {}).get("final")

    def best(self, metric: str) -> float | None:
        """The metric's best value; None when the run has none: test metrics and those without a direction never do."""
        return self.metrics.get(metric, {}).get("best")


def read_record(run: Path) -> Record:
    """Reads the `outcome.json` of one run folder.

    Raises:
        OSError: there is no `outcome.json`, or it cannot be read.
        ValueError: it cannot be parsed (`bakeoff.runs.parse_outcome`), or its seed is not that of the folder's name.
        RecursionError: it is nested too deeply.

    """
    outcome = parse_outcome((run / FILE_NAME).read_text("utf-8"))
    # a copied or renamed folder: two runs of one seed in an arm would break the pairing
    if run.name != f"seed={outcome.seed}":
        raise ValueError(f"seed must agree with the folder's name, got {outcome.seed}: was the folder renamed?")
    return Record(path=run, **vars(outcome))
