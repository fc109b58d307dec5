import copy

import lightning as L
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.data import Arrays, Batches, ResidentData, array, resident
from bakeoff.data.order import EpochSampler, epoch_order
from bakeoff.errors import UserError


def numbered(n, width=1):
    """n samples that can be told apart: x and y hold their index."""
    index = torch.arange(n)
    return index[:, None].float().repeat(1, width), index


def arrays(n=50):
    return Arrays(numbered(n), numbered(20), numbered(30), task="classification", n_out=100)


def order_of(batches):
    return torch.cat([y for _, y in batches]).tolist()


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 200),
    batch_size=st.integers(1, 250) | st.just("full"),
    seed=st.integers(0, 2**40),
    epochs=st.integers(1, 3),
    chunk=st.sampled_from([1, 300, 4 * 2**20]),
)
def test_an_epoch_holds_every_sample_once_in_an_order_of_seed_and_epoch(n, batch_size, seed, epochs, chunk):
    x, y = numbered(n, width=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resident, "_CHUNK_BYTES", chunk)  # how much is gathered at a time is of no consequence
        batches = Batches(x, y, batch_size=batch_size, seed=seed)
        passes = [list(batches) for _ in range(epochs)]
    rows = n if batch_size == "full" else min(batch_size, n)
    for epoch, batch_list in enumerate(passes):
        assert len(batch_list) == len(batches) == -(-n // rows)
        assert [len(by) for _, by in batch_list] == [rows] * (n // rows) + [n % rows] * (n % rows > 0)
        for bx, by in batch_list:
            assert torch.equal(bx, x[by])
        expected = list(range(n)) if rows == n else epoch_order(n, seed, epoch).tolist()
        assert order_of(batch_list) == expected
        assert sorted(expected) == list(range(n))
    assert batches.epoch == epochs


def test_two_instances_with_one_seed_give_the_same_batches_whatever_the_global_state():
    orders = []
    for _ in range(2):
        torch.manual_seed(len(orders))
        batches = Batches(*numbered(50), batch_size=8, seed=3)
        orders.append([order_of(batches), order_of(batches)])
        torch.rand(7)
    assert orders[0] == orders[1]
    assert orders[0][0] != orders[0][1]
    assert orders[0][0] != order_of(Batches(*numbered(50), batch_size=8, seed=4))


def test_global_random_numbers_are_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(Batches(*numbered(50), batch_size=8, seed=3))
    assert torch.equal(torch.get_rng_state(), before)


def test_orders_of_neighbouring_seeds_and_epochs_differ():
    orders = {tuple(epoch_order(20, seed, epoch).tolist()) for seed in range(30) for epoch in range(30)}
    assert len(orders) == 900


def test_seeds_beyond_32_bits_have_orders_of_their_own():
    assert not torch.equal(epoch_order(50, 1, 0), epoch_order(50, 1 + 2**32, 0))


def test_order_is_the_same_at_every_batch_size():
    orders = {tuple(order_of(Batches(*numbered(50), batch_size=size, seed=0))) for size in (1, 7, 16, 49)}
    assert len(orders) == 1


def test_an_order_stays_what_it_is_from_version_to_version():
    # a resumed run must meet the order it was started with
    assert epoch_order(8, 0, 0).tolist() == [4, 1, 3, 5, 0, 2, 6, 7]


def test_whole_set_is_handed_out_as_it_is():
    x, y = numbered(10)
    ((bx, by),) = Batches(x, y, batch_size="full", seed=0)
    assert bx is x
    assert by is y


@pytest.mark.parametrize("make", [lambda: Batches(*numbered(9), batch_size=2, seed=0), lambda: EpochSampler(9, 0)])
def test_epoch_counts_full_passes_even_if_nobody_asks_for_the_end(make):
    source = make()
    iterator = iter(source)
    for _ in range(len(source) - 1):
        next(iterator)
    assert source.epoch == 0
    next(iterator)
    assert source.epoch == 1
    next(iter(source))
    assert source.epoch == 1


def test_an_epoch_can_be_set():
    batches = Batches(*numbered(20), batch_size=4, seed=0)
    first, second = order_of(batches), order_of(batches)
    batches.set_epoch(1)
    assert order_of(batches) == second != first


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, True, "half", None, float("nan")])
def test_wrong_batch_size_is_named(batch_size):
    expected = f'batch_size must be a whole number >= 1 or "full", got {batch_size!r}'
    with pytest.raises(UserError) as caught:
        ResidentData(arrays(), batch_size=batch_size, seed=0)
    assert str(caught.value) == expected
    with pytest.raises(UserError, match=r"^batch_size must be"):
        Batches(*numbered(9), batch_size=batch_size, seed=0)


def test_wrong_eval_batch_size_and_seed_are_named():
    with pytest.raises(UserError, match=r"^eval_batch_size must be a whole number >= 1"):
        ResidentData(arrays(), batch_size=1, seed=0, eval_batch_size=0)
    for seed in (-1, 1.5, None):
        with pytest.raises(UserError, match="seed must be a whole number >= 0, got"):
            ResidentData(arrays(), batch_size=1, seed=seed)


def test_evaluation_is_in_order():
    data = ResidentData(arrays(), batch_size=8, seed=0, eval_batch_size=7)
    data.setup()
    assert [len(y) for _, y in data.val_dataloader()] == [7, 7, 6]
    assert order_of(data.val_dataloader()) == list(range(20))
    assert order_of(data.test_dataloader()) == list(range(30))
    assert len(data.val_dataloader()) == 3
    loader = data.val_dataloader()
    assert order_of(loader) == order_of(loader)


@pytest.mark.parametrize(("shape", "expected"), [((8, 8), 4096), ((3, 64, 64), 341), ((2**23,), 1)])
def test_evaluation_batches_are_bounded_by_samples_and_by_memory(shape, expected):
    x = torch.zeros(1).expand(4, *shape)  # takes no memory
    part = x, torch.arange(4)
    data = ResidentData(Arrays(part, part, part, task="classification", n_out=4), batch_size=2, seed=0)
    assert data.eval_batch_size == expected


class Recorder(L.LightningModule):
    """Learns nothing; notes which samples it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen, self.validated, self.addresses = [], [], set()

    def training_step(self, batch):
        x, y = batch
        self.seen.append((self.current_epoch, y.tolist()))
        return self.weight * x.mean()

    def validation_step(self, batch):
        self.validated += batch[1].tolist()
        self.addresses.add(batch[0].untyped_storage().data_ptr())

    def test_step(self, batch):
        self.validated += batch[1].tolist()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(tmp_path, **options):
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        **{"enable_checkpointing": False, "log_every_n_steps": 1} | options,
    )


def expected(epochs, n=50, size=16, seed=5):
    return [(epoch, batch.tolist()) for epoch in epochs for batch in epoch_order(n, seed, epoch).split(size)]


def test_lightning_trains_on_another_order_every_epoch(tmp_path):
    data, module = ResidentData(arrays(), batch_size=16, seed=5), Recorder()

    fit = trainer(tmp_path, max_epochs=3, num_sanity_val_steps=2)
    fit.fit(module, datamodule=data)

    assert module.seen == expected(range(3))
    assert module.validated == list(range(20)) * 4
    assert module.addresses == {data.arrays.val[0].untyped_storage().data_ptr()}  # no copy on its own device
    fit.test(module, datamodule=data, verbose=False)
    assert module.validated[-30:] == list(range(30))


def test_a_resumed_run_meets_the_orders_that_it_would_have_met(tmp_path):
    first = trainer(tmp_path, max_epochs=2)
    first.fit(Recorder(), datamodule=ResidentData(arrays(), batch_size=16, seed=5))
    first.save_checkpoint(tmp_path / "two.ckpt")

    module = Recorder()
    data = ResidentData(arrays(), batch_size=16, seed=5)
    trainer(tmp_path, max_epochs=4).fit(module, datamodule=data, ckpt_path=tmp_path / "two.ckpt", weights_only=True)

    assert module.seen == expected([2, 3])


def test_epochs_cut_short_still_differ(tmp_path):
    module = Recorder()
    data = ResidentData(arrays(), batch_size=16, seed=5)
    trainer(tmp_path, max_epochs=2, limit_train_batches=2).fit(module, datamodule=data)
    assert module.seen == expected([0])[:2] + expected([1])[:2]


def test_parts_move_to_the_device_of_the_trainer_once(tmp_path):
    class Strategy:
        root_device = torch.device("meta")

    class Trainer:
        strategy = Strategy()

    data = ResidentData(arrays(), batch_size=16, seed=0)
    data.trainer = Trainer()
    data.setup("fit")
    first = data.train_dataloader().x
    data.setup("test")
    assert first.device.type == "meta"
    assert data.train_dataloader().x is first
    assert data.arrays.train[0].device.type == "cpu"
    batch = next(iter(data.val_dataloader()))
    assert data.transfer_batch_to_device(batch, torch.device("cpu"), 0) is batch


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: run where torch.cuda.is_available()")
def test_batches_on_a_gpu_are_those_of_the_cpu():
    x, y = numbered(500, width=3)
    ours = Batches(x.cuda(), y.cuda(), batch_size=16, seed=2)
    for (bx, by), (cx, cy) in zip(ours, Batches(x, y, batch_size=16, seed=2), strict=True):
        assert bx.is_cuda
        assert torch.equal(bx.cpu(), cx)
        assert torch.equal(by.cpu(), cy)


def test_no_batch_is_kept_alive_by_the_loader():
    batches = Batches(*numbered(50), batch_size=8, seed=0)
    assert len(copy.deepcopy(batches)) == 7
    assert set(vars(batches)) == {"x", "y", "batch_size", "seed", "epoch", "_start"}


def test_regression_targets_come_in_columns():
    rng = np.random.default_rng(0)
    data = ResidentData(array(x=rng.normal(size=(50, 3)), y=rng.normal(size=50)), batch_size=8, seed=0)
    x, y = next(iter(data.train_dataloader()))
    assert x.shape == (8, 3)
    assert y.shape == (8, 1)
