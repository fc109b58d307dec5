"""What is there to be chosen is listed: ours, and what lies in the user's own folders."""

import pytest

from bakeoff.launch.known import known_keys, options_of
from bakeoff.launch.register import register_with_hydra

METRICS = "auroc, average_precision, balanced_accuracy, bits_per_character, f1, iou"


def test_outside_of_a_command():
    register_with_hydra()
    assert {"optimizer", "optimizer.lr", "metrics"} <= set(known_keys(None))
    assert options_of("metrics", None) == [*METRICS.split(", "), "perplexity"]
    assert options_of("nothing", None) == []


@pytest.mark.parametrize("arguments", [("metrics=[f2]",), ("-m", "metrics=[f1],[f1,f2]")], ids=["run", "sweep"])
def test_a_choice_of_a_list_that_is_not_there(bakeoff, tmp_path, arguments):
    (tmp_path / "conf" / "metrics").mkdir(parents=True)
    (tmp_path / "conf" / "metrics" / "mine.yaml").write_text("mine: {_target_: torchmetrics.Accuracy}\n")
    result = bakeoff(*arguments)
    assert result.status == 2
    assert f"Could not find 'metrics/f2'; there are {METRICS}, mine, perplexity" in result.err
