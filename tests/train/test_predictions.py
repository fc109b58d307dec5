"""What the last validation predicted, against the trained net's own predictions by scikit-learn."""

from functools import partial

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bakeoff.data import DataSpec
from bakeoff.losses import CrossEntropy
from bakeoff.module import SupervisedModule
from bakeoff.optim import SGD
from bakeoff.train.predictions import EXAMPLES, Predictions

X = torch.randn(300, 1, 4, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0, 0, :3] + 0.5 * torch.randn(300, 3, generator=torch.Generator().manual_seed(1))).argmax(1)


class Forwards(pl.Callback):
    """As a run's training does."""

    def __init__(self, kept):
        self.kept = kept

    def on_validation_start(self, trainer, pl_module):
        self.kept.validation_started(trainer.global_step)

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, *_):
        self.kept.validation_batch(batch, outputs)


def fitted(tmp_path, *, batch_size=64, spec=None, not_before=0, lr=0.1, shuffle=False, epochs=3):
    torch.manual_seed(0)
    kept = Predictions(spec or DataSpec(in_shape=(1, 4, 4)), not_before)
    module = SupervisedModule(
        nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), CrossEntropy(), partial(SGD, lr=lr), n_out=3
    )
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=epochs, logger=False, enable_checkpointing=False, callbacks=[Forwards(kept)],
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, default_root_dir=tmp_path,
    )  # fmt: skip
    data = TensorDataset(X, Y)
    trainer.fit(module, DataLoader(data, 30), DataLoader(data, batch_size, shuffle=shuffle))
    with torch.no_grad():
        return kept, module.net(X).argmax(1)


@pytest.mark.parametrize("batch_size", [7, 64, 300])
@pytest.mark.filterwarnings("ignore:Your `val_dataloader`'s sampler has shuffling enabled")
@pytest.mark.parametrize("shuffle", [False, True])
def test_counts_are_scikit_learns_for_the_last_weights(tmp_path, batch_size, shuffle):
    kept, predicted = fitted(tmp_path, batch_size=batch_size, shuffle=shuffle)
    assert np.array_equal(kept.confusion(3), confusion_matrix(Y, predicted))


@pytest.mark.parametrize("batch_size", [7, 64, 300])
def test_wrong_examples_come_first_with_their_own_labels(tmp_path, batch_size):
    kept, predicted = fitted(tmp_path, batch_size=batch_size)
    wrong = (predicted != Y).nonzero().flatten()
    assert len(wrong) > EXAMPLES
    x, labels, said = kept.examples()
    first = wrong[:EXAMPLES]
    assert np.array_equal(x, X[first].numpy())
    assert (labels, said) == (Y[first].tolist(), predicted[first].tolist())


def test_right_examples_fill_the_rest(tmp_path):
    kept, predicted = fitted(tmp_path, lr=3.0, epochs=20)
    wrong = (predicted != Y).nonzero().flatten()
    x, labels, said = kept.examples()
    missed = sum(a != b for a, b in zip(labels, said, strict=True))
    assert (len(x), missed) == (EXAMPLES, min(len(wrong), EXAMPLES))
    assert [a != b for a, b in zip(labels, said, strict=True)] == [True] * missed + [False] * (EXAMPLES - missed)


@pytest.mark.parametrize("shape", [None, (16,), (2, 4, 4), (1, 8, 2)])
def test_only_what_the_data_calls_an_image_is_kept(tmp_path, shape):
    kept, _ = fitted(tmp_path, spec=DataSpec(in_shape=shape))
    assert kept.examples() is None
    assert kept.confusion(3).sum() == 300


def test_validations_that_are_not_the_last_are_skipped(tmp_path):
    kept, predicted = fitted(tmp_path, not_before=30)
    assert np.array_equal(kept.confusion(3), confusion_matrix(Y, predicted))
    assert fitted(tmp_path, not_before=31)[0].confusion(3) is None


def test_whole_batches_are_not_kept(tmp_path):
    kept, _ = fitted(tmp_path, batch_size=300)
    assert kept._examples.x.untyped_storage().nbytes() == EXAMPLES * 16 * 4


def test_labels_that_the_loss_ignores_are_not_counted(tmp_path):
    kept, predicted = fitted(tmp_path)
    kept._pairs.append((torch.tensor([-100, 255, 2]), torch.tensor([0, 1, 0])))
    expected = confusion_matrix(Y, predicted)
    expected[2, 0] += 1
    assert np.array_equal(kept.confusion(3), expected)
