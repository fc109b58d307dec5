"""What the callbacks of a run refuse while it trains."""

import pytest
import torch


class Twice(torch.optim.SGD):
    """Evaluates the loss at two points, as sharpness-aware minimisation does."""

    def step(self, closure):  # type: ignore[override]
        closure()
        return super().step(closure)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"], ids=["our loop", "Lightning's loop"])
@pytest.mark.parametrize("target", ["torch.optim.LBFGS", f"{__name__}.Twice"])
def test_an_optimizer_that_evaluates_the_loss_several_times(make_run, tmp_path, target, precision):
    command = (f"optimizer._target_={target}", "budget.steps=5", f"trainer.precision={precision}")
    outcome = make_run(*command).train(tmp_path)
    name = target.rsplit(".", 1)[-1]
    assert (outcome.status, outcome.steps) == ("failed", 0)
    assert outcome.error["message"].startswith(f"optimizer: {name} evaluates the loss several times in a step")
