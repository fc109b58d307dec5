"""The numbers of a page for metrics of every kind of direction; `tests/tab/test_plugin.py` has those of real runs."""

import pytest

from bakeoff.errors import UserError
from bakeoff.report.measures_json import curves_json, seeds_json, table_json
from bakeoff.report.reader import SweepReader
from bakeoff.report.sweep_json import sweep_json
from bakeoff.tensorboard import EventFile

OWN = "val/perplexity"


@pytest.fixture
def snapshot(write_run, tmp_path):
    """3 arms of 2 seeds with `val/perplexity` 1, 2 and 3, whose runs state these directions."""

    def make(*directions, best=False):
        for arm in (1, 2, 3):
            for seed in (0, 1):
                entry = {"final": arm + seed / 10} | ({"best": 0.5, "best_step": 1} if best else {})
                stated = directions[(2 * arm + seed) % len(directions)]
                fields = {"metrics": {OWN: entry}, "metric": OWN, "metric_direction": stated}
                write_run(str(arm), seed, arm={"n": arm}, **fields)
        return SweepReader().snapshot(tmp_path)

    return make


def column(answer, key):
    return [row[key] for row in answer["rows"]]


@pytest.mark.parametrize(("direction", "ranks", "best"), [("min", [1, 2, 3], 1.0), ("max", [3, 2, 1], 1.1)])
def test_a_stated_direction_ranks(snapshot, direction, ranks, best):
    answer = table_json(snapshot(direction, None), OWN, "final")
    assert answer["direction"] == direction
    assert column(answer, "rank") == ranks
    assert column(answer, "best")[0] == best


@pytest.mark.parametrize("directions", [(None,), ("min", "max")], ids=["none", "disagreeing"])
def test_without_a_direction_there_is_no_rank_and_no_best(snapshot, directions):
    answer = table_json(snapshot(*directions), OWN, "final")
    assert answer["direction"] is None
    assert column(answer, "rank") == column(answer, "best") == [None] * 3
    assert column(answer, "too_close") == [False] * 3
    assert column(answer, "mean") == pytest.approx([1.05, 2.05, 3.05])
    assert column(answer, "n") == [2] * 3


@pytest.mark.parametrize(
    ("directions", "direction", "why"),
    [
        (("max",), "max", None),
        ((None,), None, f"it is not known whether {OWN} is better small or large"),
        (("min", "max"), None, f"the runs disagree whether {OWN} is better small or large"),
    ],
)
def test_a_metric_says_its_direction_or_why_it_has_none(snapshot, directions, direction, why):
    answer = sweep_json(snapshot(*directions, best=True), SweepReader(), ".", "title")
    (metric,) = answer["metrics"]
    assert (metric["direction"], metric["why_no_direction"]) == (direction, why)
    assert metric["best"] == (direction is not None)  # what was written with a guessed direction is not shown
    assert answer["default_metric"] == OWN


def test_curves_have_no_direction_of_their_own(snapshot, tmp_path):
    taken = snapshot("min")
    file = EventFile(tmp_path / "1" / "seed=0")
    file.scalars({"grad/norm": 1.0, "lr": 0.1}, 600)
    file.close()
    metrics = {metric["name"]: metric for metric in sweep_json(taken, SweepReader(), ".", "title")["metrics"]}
    assert list(metrics) == [OWN, "grad/norm", "lr"]
    for name in ("grad/norm", "lr"):
        assert (metrics[name]["direction"], metrics[name]["summary"], metrics[name]["best"]) == (None, False, False)
    (arm,) = curves_json(taken, SweepReader(), "lr", "steps")["arms"]
    assert (arm["arm"], arm["x"], arm["mean"]) == ("1", [600.0], [pytest.approx(0.1)])
    (run,) = seeds_json(taken, SweepReader(), "lr", "steps", (), "sweep")["runs"]
    assert (run["run"], run["y"]) == ("sweep/1/seed=0", [pytest.approx(0.1)])


def test_questions_without_an_answer_are_refused(snapshot):
    taken = snapshot("min")
    with pytest.raises(UserError, match="value must be final or best, got worst"):
        table_json(taken, OWN, "worst")
    with pytest.raises(UserError, match="no run has a final value of val/nonsense"):
        table_json(taken, "val/nonsense", "final")
    with pytest.raises(UserError, match="axis must be one of steps, samples, epochs, seconds, got furlongs"):
        curves_json(taken, SweepReader(), OWN, "furlongs")
