"""README's section on the optimizers: what it shows runs as it stands there."""

import re
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch

from bakeoff import optim

from .public import OPTIMIZERS

README = Path(__file__).parents[2] / "README.md"
[SECTION] = re.findall(
    r"## The optimizers in another project\n(.*?)\n## ", README.read_text(encoding="utf-8"), re.DOTALL
)
BLOCKS = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
LOOP, LIGHTNING, HUGGING_FACE, CHECKPOINT, REPLICAS = BLOCKS


def net():
    torch.manual_seed(0)
    return torch.nn.Linear(4, 3)


def run(block, **names):
    names |= {name: getattr(optim, name) for name in OPTIMIZERS} | {"torch": torch}
    exec(block, names)
    return names


def batches():
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(8, 4, generator=generator), torch.randint(3, (8,), generator=generator)) for _ in range(10)]


@pytest.mark.parametrize("line", [0, 1], ids=["bakeoff", "torch"])
def test_the_loop_trains_the_same_with_the_line_that_changes(line):
    trained, given = net(), net()
    first = LOOP.partition("\n")[0]
    run(
        LOOP.replace(first, first.split("  # was: ")[line]),
        net=trained,
        batches=batches(),
        loss_fn=torch.nn.CrossEntropyLoss(),
    )
    reference = torch.optim.Adam(given.parameters(), lr=1e-3)
    for x, y in batches():
        reference.zero_grad()
        torch.nn.functional.cross_entropy(given(x), y).backward()
        reference.step()
    torch.testing.assert_close(trained.state_dict(), given.state_dict())


def test_the_lightning_module_trains(tmp_path):
    made = run(LIGHTNING, lightning=lightning)["Module"]()
    made.layer = net()
    made.training_step = lambda batch: torch.nn.functional.cross_entropy(made.layer(batch[0]), batch[1])
    before = made.layer.weight.detach().clone()
    options: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        precision="bf16-mixed",
        gradient_clip_val=1.0,
        default_root_dir=tmp_path,
        **options,
    )
    trainer.fit(made, torch.utils.data.DataLoader(batches(), batch_size=None))
    assert not torch.equal(made.layer.weight, before)


def test_a_training_resumes_from_torchs_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = net()
    saver = torch.optim.RMSprop(given.parameters(), lr=1e-3)
    given(torch.ones(2, 4)).sum().backward()
    saver.step()
    torch.save({"optimizer": saver.state_dict()}, "checkpoint.pt")
    optimizer = run(CHECKPOINT, net=given)["optimizer"]
    assert [state["step"].item() for state in optimizer.state.values()] == [1, 1]


def test_many_runs_in_one_optimizer():
    nets = [net() for _ in range(3)]
    names = run(REPLICAS, nets=nets)
    names["weights"].grad = torch.ones_like(names["weights"])
    names["optimizer"].step()
    names["scheduler"].step()
    moved = torch.stack([net.weight.detach() for net in nets]) - names["weights"].detach()
    decay = 1e-4 * 0.001 * nets[2].weight.detach()
    expected = torch.tensor([0.1, 0.01, 0.001])[:, None, None].expand_as(moved).clone()
    expected[2] += decay
    torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-6)


def test_hugging_faces_block_builds_the_pair_that_its_trainer_accepts():
    made, _, trainer = HUGGING_FACE.partition("trainer = ")
    names = run(made, model=net())
    assert isinstance(names["optimizer"], torch.optim.Optimizer)
    assert isinstance(names["scheduler"], torch.optim.lr_scheduler.LRScheduler)
    assert "optimizers=(optimizer, scheduler)" in trainer
