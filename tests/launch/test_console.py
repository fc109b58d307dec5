"""What a command prints of a single run."""

from pathlib import Path

from bakeoff.launch.console import print_outcome
from bakeoff.runs import Outcome


def test_small_numbers_are_printed_with_their_digits(capsys):
    outcome = Outcome({}, 0, "", [], status="completed")
    outcome.metrics = {
        "val/rmse": {"final": 2.345e-10, "best": 1.5e-10, "best_step": 7},
        "test/rmse": {"final": 0.25},
    }
    print_outcome(outcome, "val/rmse", Path("outputs/main/default/seed=0"))
    printed = capsys.readouterr().out
    assert "val/rmse 2.345e-10  (best 1.500e-10 at step 7)\n" in printed
    assert "test/rmse 0.2500\n" in printed
