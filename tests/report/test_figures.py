"""Pictures: what is drawn and what is not; that they look right is for eyes."""

import struct

import numpy as np
import pytest

from bakeoff.report import figures
from bakeoff.report.arms import group_arms

OPTIMIZERS, LOSSES, RATES = ("sgd", "adam"), ("mse", "hinge"), (0.001, 0.01, 0.1, 1000.0)


@pytest.fixture
def arms(make_record):
    """Every rate of 1000 diverges."""

    def make(optimizers=OPTIMIZERS, losses=LOSSES, rates=RATES):
        grid = [(o, loss, rate, seed) for o in optimizers for loss in losses for rate in rates for seed in range(3)]
        return group_arms(
            make_record(
                f"{o}{loss}{rate}",
                seed,
                None if rate == 1000 else 0.8 + 0.01 * seed,
                "diverged" if rate == 1000 else "completed",
                {"optimizer": o, "loss": loss, "optimizer.lr": rate},
            )
            for o, loss, rate, seed in grid
        )

    return make


def size(png):
    assert png.startswith(b"\x89PNG")
    return struct.unpack_from(">II", png, 16)


def test_a_sweep_of_three_choices_has_both_pictures(arms):
    width, height = size(figures.heat_map(arms(), "val/accuracy"))
    assert 200 < height < width < 2000
    assert size(figures.metric_by_rate(arms(), "val/accuracy")) == (700, 400)


def test_a_cell_is_the_mean_over_its_arms(arms):
    found = arms(rates=(0.001, 0.01))
    means = {arm.folder: float(number) for number, arm in enumerate(found)}
    grid = figures._grid(found, means, ["loss", "optimizer"], ["hinge", "mse"], ["adam", "sgd"], "")
    for row, optimizer in enumerate(("adam", "sgd")):
        for column, loss in enumerate(("hinge", "mse")):
            inside = [means[a.folder] for a in found if a.folder.startswith(optimizer + loss)]
            assert len(inside) == 2
            assert grid[row, column] == np.mean(inside)


def test_values_too_many_for_a_picture_are_left_out(arms):
    many = arms(rates=tuple(0.001 * i for i in range(1, 40)))
    assert size(figures.heat_map(many, "val/accuracy"))[0] < 1000  # loss by optimizer; a column a rate would be wide
    assert figures.heat_map(arms(losses=["mse"], rates=tuple(0.001 * i for i in range(1, 40))), "val/accuracy") is None


def test_nothing_to_compare_is_no_picture(arms):
    assert figures.heat_map(arms(losses=["mse"], rates=[0.1]), "val/accuracy") is None
    assert figures.metric_by_rate(arms(rates=[0.1]), "val/accuracy") is None
    assert figures.heat_map(arms(rates=[1000.0]), "val/accuracy") is None
    assert figures.metric_by_rate(arms(rates=[1000.0]), "val/accuracy") is None
    assert figures.heat_map(arms(), "val/nonsense") is None
    assert figures.heat_map([], "val/accuracy") is None


def test_any_name_can_be_drawn(arms):
    for name in ("a$b$c", "\\frac{1}{2}", "損失", "x" * 200, "<b>", "{}", "%s"):
        assert size(figures.heat_map(arms(losses=[name, "mse"]), f"val/{'accuracy'}"))


@pytest.mark.parametrize("direction", ["min", "max", None])
def test_colours_say_better_only_where_that_is_known(make_record, monkeypatch, direction):
    drawn = []
    monkeypatch.setattr(figures, "_draw_grid", lambda *arguments: drawn.append(arguments[-1]))
    grid = [(o, loss) for o in OPTIMIZERS for loss in LOSSES]
    fields = {"metric": "val/perplexity", "metric_direction": direction}
    arms = group_arms(
        make_record(
            f"{o}{loss}", 0, arm={"optimizer": o, "loss": loss}, metrics={"val/perplexity": {"final": 1.0}}, **fields
        )
        for o, loss in grid
    )
    assert size(figures.heat_map(arms, "val/perplexity"))
    assert drawn == [direction]
    assert figures.COLOURS[None] not in (figures.COLOURS["min"], figures.COLOURS["max"])
