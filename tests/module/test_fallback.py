"""Where the lean loop cannot be used, Lightning's own is, and the reason is logged once."""

import lightning.pytorch as pl
import pytest

from bakeoff.module import SupervisedModule, fallback_reason, use_lean_loop
from bakeoff.module.fallback import STEP_METHODS, log_fallback_once, overrides

from .lean import Data, module, trainer


class Manual(SupervisedModule):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.automatic_optimization = False


class OwnStep(SupervisedModule):
    def optimizer_step(self, *arguments, **options):
        super().optimizer_step(*arguments, **options)


def reason(tmp_path, kind=SupervisedModule, **options):
    made = module()
    runner = trainer(tmp_path, max_epochs=0, **options)
    runner.fit(kind(made.net, made.loss, made._optimizer_factory, n_out=3), datamodule=Data())
    runner.optimizers = runner.optimizers or [made._optimizer_factory(made.net.parameters())]
    return fallback_reason(runner)


def test_the_reason_is_named(tmp_path):
    assert reason(tmp_path) is None
    assert reason(tmp_path, accumulate_grad_batches=2) == "gradient accumulation"
    assert reason(tmp_path, precision="bf16-mixed") == "mixed precision"
    assert reason(tmp_path, profiler="simple") == "a profiler"
    assert reason(tmp_path, Manual) == "manual optimization"
    assert reason(tmp_path, OwnStep) == "the module's own optimizer_step"


def test_the_reason_is_logged_once(tmp_path, caplog):
    log_fallback_once.cache_clear()
    with caplog.at_level("INFO", "bakeoff"):
        for _ in range(2):
            use_lean_loop(runner := trainer(tmp_path, accumulate_grad_batches=2))
            runner.fit(module(), datamodule=Data())
    messages = [record.message for record in caplog.records if record.name == "bakeoff.module.fallback"]
    assert messages == ["training uses Lightning's own loop, which is slower: gradient accumulation"]


@pytest.mark.parametrize("name", STEP_METHODS)
def test_every_step_method_is_one_of_lightnings(name):
    assert callable(getattr(pl.LightningModule, name))


def test_a_method_set_on_the_instance_overrides_too():
    made = module()
    assert not overrides(made, pl.LightningModule, "on_fit_start")
    made.on_fit_start = lambda: None
    assert overrides(made, pl.LightningModule, "on_fit_start")
