"""Bands over seeds against sums done by hand."""

import math

import numpy as np
import pytest

from bakeoff.report.arms import group_arms
from bakeoff.report.bands import arm_curves, axis_values, band
from bakeoff.report.curves import Curve
from bakeoff.report.records import read_sweep
from bakeoff.tensorboard import EventFile


def curve(points):
    return Curve(np.array(list(points), dtype=np.int64), np.array(list(points.values()), dtype=np.float64))


def against_steps(*curves):
    return band(curves, [c.steps.astype(float) for c in curves])


def test_three_seeds_of_the_same_steps():
    drawn = against_steps(curve({10: 1.0, 20: 4.0}), curve({10: 2.0, 20: 5.0}), curve({10: 6.0, 20: 6.0}))
    assert drawn.x.tolist() == [10, 20]
    assert drawn.mean.tolist() == [3.0, 5.0]
    assert (drawn.low.tolist(), drawn.high.tolist()) == ([1.0, 4.0], [6.0, 6.0])  # 3 seeds: their range
    assert drawn.n.tolist() == [3, 3]


def test_a_seed_that_stopped_early_is_counted_as_far_as_it_went():
    drawn = against_steps(curve({10: 1.0, 20: 1.0, 30: 1.0}), curve({10: 3.0}), curve({10: 5.0, 20: 2.0}))
    assert drawn.n.tolist() == [3, 2, 1]
    assert drawn.mean.tolist() == [3.0, 1.5, 1.0]
    assert math.isnan(drawn.low[2])
    assert math.isnan(drawn.high[2])
    assert (drawn.low[1], drawn.high[1]) == (1.0, 2.0)


def test_points_that_are_not_finite_take_no_part_and_spoil_no_neighbour():
    drawn = against_steps(curve({1: 1.0, 2: math.nan, 3: 3.0}), curve({1: 2.0, 2: 2.0, 3: math.inf}))
    assert drawn.n.tolist() == [2, 1, 1]
    assert drawn.mean.tolist() == [1.5, 2.0, 3.0]


def test_a_step_at_which_no_run_is_finite_is_no_point():
    drawn = against_steps(curve({1: 1.0, 2: math.nan}), curve({1: 2.0, 2: math.inf}))
    assert drawn.x.tolist() == [1]
    assert [len(column) for column in drawn] == [1] * 5


def test_other_steps_in_every_seed_are_interpolated_between_them():
    drawn = against_steps(curve({0: 0.0, 10: 10.0}), curve({0: 0.0, 5: 20.0, 10: 20.0}))
    assert drawn.x.tolist() == [0, 5, 10]
    assert drawn.mean.tolist() == [0.0, 12.5, 15.0]


def test_in_seconds_runs_are_joined_where_they_are_at_the_same_time():
    fast, slow = curve({1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}), curve({1: 1.0, 2: 2.0})
    drawn = band([fast, slow], [np.array([1.0, 2.0, 3.0, 4.0]), np.array([10.0, 20.0])])
    assert (np.diff(drawn.x) > 0).all()  # though the slow one stops at fewer steps, time does not run backwards
    assert (drawn.x[0], drawn.x[-1]) == (1.0, 20.0)
    assert len(drawn.x) <= 4
    both = curve({1: 1.0, 2: 2.0}), curve({1: 3.0, 2: 4.0})
    drawn = band(both, [np.array([0.0, 2.0]), np.array([0.0, 4.0])])
    assert drawn.x.tolist() == [0.0, 4.0]
    assert drawn.n.tolist() == [2, 1]


def test_many_positions_are_thinned_out_evenly():
    steps = dict.fromkeys(range(1000), 1.0)
    positions = [np.arange(1000) + offset for offset in (0.0, 0.3, 0.6)]
    drawn = band([curve(steps)] * 3, positions)
    assert len(drawn.x) == 1000
    assert np.diff(drawn.x).max() < 2
    assert (drawn.mean == 1).all()


def test_no_curves_is_an_error():
    with pytest.raises(ValueError, match="at least 1 curve"):
        band([], [])


def test_a_curve_lies_along_the_axis_that_its_run_recorded():
    curves = {
        "val/loss": curve({10: 1.0, 25: 1.0, 30: 1.0}),
        "axis/samples": curve({10: 160.0, 20: 320.0, 30: 470.0}),
        "axis/seconds": curve({}),
    }
    assert axis_values(curves, "val/loss", "steps").tolist() == [10, 25, 30]
    assert axis_values(curves, "val/loss", "samples").tolist() == [160, 395, 470]
    assert axis_values(curves, "val/loss", "epochs") is None
    assert axis_values(curves, "val/loss", "seconds") is None


def test_arm_curves_average_the_completed_runs(write_run, tmp_path):
    for seed, status in enumerate(["completed", "completed", "diverged"]):
        file = EventFile(write_run("optimizer=sgd", seed, status=status, arm={"optimizer": "sgd"}))
        file.scalars({"loss": seed}, 1)
        file.scalars({"loss": 10 * seed}, 2)
        if seed == 0:
            file.scalars({"extra": 0.5}, 1)
        file.close()
    write_run("optimizer=adam", 0, status="failed", arm={"optimizer": "adam"})
    adam, sgd = group_arms(read_sweep(tmp_path).records)
    curves = {tag: (c.steps.tolist(), c.values.tolist()) for tag, c in arm_curves(sgd).items()}
    assert curves == {"extra": ([1], [0.5]), "loss": ([1, 2], [0.5, 5.0])}
    assert arm_curves(adam) == {}
