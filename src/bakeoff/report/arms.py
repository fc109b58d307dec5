"""Groups records into arms, and names an arm by what sets it apart from the others of its sweep."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bakeoff.report.record import Record
from bakeoff.report.table import shorten, visible

VALUE_WIDTH = 24


@dataclass(frozen=True)
class Arm:
    """All runs of one arm folder, ordered by seed.

    `choices` holds the arm's values, as table cells, of the keys that differ between the arms; a key that the arm
    leaves at the configured default is absent. `suffix` distinguishes two folders whose choices read the same.
    """

    folder: str
    choices: Mapping[str, str]
    suffix: str
    records: tuple[Record, ...]

    @property
    def overrides(self) -> Mapping[str, Any]:
        """Every override key of the arm, with its typed value."""
        return self.records[0].arm

    @property
    def name(self) -> str:
        """`optimizer=adam, loss=mse`; `default` when no choice sets the arm apart."""
        text = ", ".join(f"{visible(key)}={value}" for key, value in self.choices.items())
        return (text or "default") + self.suffix

    def completed(self, metric: str) -> dict[int, float]:
        """Seed -> final value of `metric` over the completed runs that have one."""
        finals = {r.seed: r.final(metric) for r in self.records if r.status == "completed"}
        return {seed: value for seed, value in finals.items() if value is not None}


def group_arms(records: Iterable[Record]) -> list[Arm]:
    """One arm for each folder, ordered by folder name, with names that are unique among them."""
    ordered = sorted(records, key=lambda record: (record.folder, record.seed))
    groups = {folder: tuple(runs) for folder, runs in groupby(ordered, key=lambda record: record.folder)}
    values = {folder: runs[0].arm for folder, runs in groups.items()}
    keys = differing_keys(list(values.values()))
    choices = {
        folder: {key: as_cell(chosen[key]) for key in keys if key in chosen} for folder, chosen in values.items()
    }
    suffixes = _suffixes(choices)
    return [Arm(folder, choices[folder], suffixes[folder], runs) for folder, runs in groups.items()]


def differing_keys(arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys whose typed value is not the same in every arm, in the order in which they are first met."""
    keys = dict.fromkeys(key for arm in arms for key in arm)
    return [key for key in keys if len({typed(arm, key) for arm in arms}) > 1]


def common_choices(arms: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Key -> value, as a table cell, of what every arm sets to the same value."""
    differing = set(differing_keys(arms))
    return {key: as_cell(value) for key, value in arms[0].items() if key not in differing} if arms else {}


def as_text(value: object) -> str:
    """A choice as it is written on a command line: text unchanged, the rest as in YAML and JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def as_cell(value: object) -> str:
    """A choice as a table shows it: control characters escaped, the middle of a long value cut out."""
    return shorten(visible(as_text(value)), VALUE_WIDTH)


def natural_key(text: str) -> tuple[bool, float, str]:
    """A key that sorts numbers in text by size, and before words: 0.001, 16, 128, full."""
    try:
        number = float(text)
    except ValueError:
        return True, 0.0, text
    return (False, number, text) if number == number else (True, 0.0, text)  # NaN cannot be sorted among numbers


def typed(arm: Mapping[str, Any], key: str) -> str | None:
    """A choice with its type, to be compared; None where the arm leaves it at its default."""
    # JSON keeps 1, 1.0, true and "1" apart, which == does not
    return json.dumps(arm[key], sort_keys=True) if key in arm else None


def _suffixes(choices: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Folder -> "" when its choices read like no other's, else its `~hash`, else its whole name."""
    suffixes = dict.fromkeys(choices, "")
    by_text: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for folder, chosen in choices.items():
        by_text.setdefault(tuple(chosen.items()), []).append(folder)
    for folders in by_text.values():
        if len(folders) > 1:
            hashes = [f"~{visible(f.rpartition('~')[2])}" if "~" in f else "" for f in folders]
            unique = len(set(hashes)) == len(folders)
            suffixes.update(zip(folders, hashes if unique else [f" [{visible(f)}]" for f in folders], strict=True))
    return suffixes
