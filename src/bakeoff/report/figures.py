"""Pictures of a sweep that a person reads first, as PNG: which choices go well together, and at which learning rate.

Drawn by matplotlib's `Figure`, without pyplot and its state of the whole process.
"""

from __future__ import annotations

import io
import json
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from statistics import mean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bakeoff.report.arms import VALUE_WIDTH, Arm, as_text, differing_keys, natural_key
from bakeoff.report.metric import find_direction
from bakeoff.report.table import shorten, visible
from bakeoff.runs.metrics import Direction
from bakeoff.stats import Estimate, mean_interval

FIRST_CHOICES = ("batch_size", "loss", "optimizer")  # columns, rows, panels
RATE = "optimizer.lr"
DEFAULT = "(default)"
MAX_VALUES = 12
DPI = 100
# yellow is better; greys, where that is not known, are darker for larger values
COLOURS = {"max": "viridis", "min": "viridis_r", None: "Greys"}


def heat_map(arms: Sequence[Arm], metric: str) -> bytes | None:
    """The metric by up to three choices: a panel for each value of one, in it rows and columns.

    A cell is the mean over its arms of their mean over completed runs; it stays empty where none completed. None when
    fewer than two choices vary (of few values: a picture of hundreds of cells says nothing), or no arm has the metric.
    """
    means = _means(arms, metric)
    keys = _choices_to_draw(arms, 3)
    if len(keys) < 2 or not means:
        return None
    across, down, panels = [_values(arms, key) for key in (*keys, None)[:3]]
    direction = find_direction((record for arm in arms for record in arm.records), metric)
    grids = [_grid(arms, means, keys, across, down, panel) for panel in panels]
    low, high = np.nanmin(grids), np.nanmax(grids)
    size = (1.5 + len(panels) * (1.2 + 0.75 * len(across)), 1.6 + 0.5 * len(down))
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, grid, panel in zip(axes, grids, panels, strict=True):
        _draw_grid(ax, grid, across, down, (low, high), direction)
        title = f"{keys[2]}={_short(panel)}" if len(keys) > 2 else ""
        ax.set(xlabel=_escape_mathtext(keys[0]), title=_escape_mathtext(title))
    axes[0].set_ylabel(_escape_mathtext(keys[1]))
    unknown = "" if direction else "darker is larger; it is not known which is better; "
    about = f"{metric}, mean over completed runs; {unknown}{_count_statuses(arms)}"
    figure.suptitle(_escape_mathtext(about), fontsize=10)
    return _png(figure)


def metric_by_rate(arms: Sequence[Arm], metric: str) -> bytes | None:
    """The final metric against the learning rate: a line joins arms that are equal in all else.

    Each optimizer has a colour. Bars are 95% t intervals over seeds; a cross at the bottom is an arm without a
    completed run. None when the learning rate does not vary, or no arm has the metric.
    """
    points = [(arm, rate, _estimate(arm, metric)) for arm in arms if (rate := _rate(arm)) is not None]
    if len({rate for _, rate, _ in points}) < 2 or not any(estimate for _, _, estimate in points):
        return None
    figure = Figure(figsize=(7, 4), dpi=DPI, layout="constrained")
    ax = figure.subplots()
    for number, optimizer in enumerate(sorted({_value(arm, "optimizer") for arm, _, _ in points})):
        own = [point for point in points if _value(point[0], "optimizer") == optimizer]
        _draw_optimizer(ax, own, f"C{number}")
        ax.plot([], [], color=f"C{number}", marker="o", label=_escape_mathtext(_short(optimizer)))
    ax.set(xscale="log", xlabel="learning rate", ylabel=_escape_mathtext(f"{metric}, final"))
    ax.set_title(_escape_mathtext(f"mean and 95% interval over completed runs; {_count_statuses(arms)}"), fontsize=10)
    ax.grid(alpha=0.3)
    ax.legend()
    return _png(figure)


def _rate(arm: Arm) -> float | None:
    rate = arm.overrides.get(RATE)
    return float(rate) if isinstance(rate, int | float) and not isinstance(rate, bool) and rate > 0 else None


def _estimate(arm: Arm, metric: str) -> Estimate | None:
    values = arm.completed(metric).values()
    return mean_interval(values) if values else None


def _draw_optimizer(ax: Axes, points: Sequence[tuple[Arm, float, Estimate | None]], colour: str) -> None:
    lines: dict[str, list[tuple[float, Estimate]]] = {}
    for arm, rate, estimate in points:
        if estimate is None:
            ax.plot([rate], [0.03], marker="x", color=colour, transform=ax.get_xaxis_transform())
            continue
        rest = json.dumps({key: value for key, value in arm.overrides.items() if key != RATE}, sort_keys=True)
        lines.setdefault(rest, []).append((rate, estimate))
    for line in lines.values():
        line.sort(key=lambda point: point[0])
        bars = [estimate.half_width or 0.0 for _, estimate in line]
        rates, means = [rate for rate, _ in line], [estimate.mean for _, estimate in line]
        ax.errorbar(rates, means, bars, marker="o", capsize=3, color=colour, alpha=0.7)


def _count_statuses(arms: Iterable[Arm]) -> str:
    counts = Counter(record.status for arm in arms for record in arm.records)
    return ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))


def _means(arms: Iterable[Arm], metric: str) -> dict[str, float]:
    completed = {arm.folder: arm.completed(metric) for arm in arms}
    return {folder: mean(values.values()) for folder, values in completed.items() if values}


def _choices_to_draw(arms: Sequence[Arm], count: int) -> list[str]:
    keys = [key for key in differing_keys([arm.overrides for arm in arms]) if len(_values(arms, key)) <= MAX_VALUES]
    first = [key for key in FIRST_CHOICES if key in keys]
    return [*first, *(key for key in keys if key not in first)][:count]


def _values(arms: Iterable[Arm], key: str | None) -> list[str]:
    return [""] if key is None else sorted({_value(arm, key) for arm in arms}, key=natural_key)


def _value(arm: Arm, key: str) -> str:
    return as_text(arm.overrides[key]) if key in arm.overrides else DEFAULT


def _short(text: str) -> str:
    return shorten(text, VALUE_WIDTH)


def _grid(
    arms: Sequence[Arm],
    means: Mapping[str, float],
    keys: Sequence[str],
    across: Sequence[str],
    down: Sequence[str],
    panel: str,
) -> np.ndarray:
    cells: dict[tuple[str, ...], list[float]] = {}
    for arm in arms:
        if arm.folder in means:
            cells.setdefault(tuple(_value(arm, key) for key in keys), []).append(means[arm.folder])
    rest = (panel,) if len(keys) > 2 else ()
    values = [mean(cells.get((x, y, *rest), [np.nan])) for y, x in product(down, across)]
    return np.array(values).reshape(len(down), len(across))


def _draw_grid(
    ax: Axes,
    grid: np.ndarray,
    across: Sequence[str],
    down: Sequence[str],
    limits: tuple[float, float],
    direction: Direction | None,
) -> None:
    low, high = limits
    ax.imshow(grid, vmin=low, vmax=high, cmap=COLOURS[direction], aspect="auto")
    ax.set_xticks(range(len(across)), [_escape_mathtext(_short(text)) for text in across])
    ax.set_yticks(range(len(down)), [_escape_mathtext(_short(text)) for text in down])
    for (row, column), value in np.ndenumerate(grid):
        is_light = (value - low > 0.6 * (high - low)) == (direction == "max")
        ax.text(
            column,
            row,
            "none" if np.isnan(value) else f"{value:.4g}",
            ha="center",
            va="center",
            fontsize=8,
            color="black" if is_light or np.isnan(value) else "white",
        )


def _escape_mathtext(text: str) -> str:
    """Matplotlib would set what is between two `$` as mathematics."""
    return visible(text).replace("$", r"\$")


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # names in scripts that the font lacks: shown as boxes
        figure.savefig(out, format="png")
    return out.getvalue()
