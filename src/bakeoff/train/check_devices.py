"""Refuses what cannot be trained rightly on several devices."""

from __future__ import annotations

from bakeoff.data import InMemoryDataModule
from bakeoff.errors import UserError
from bakeoff.train.batch_norm import BATCH_NORMS
from bakeoff.train.check_fsdp import check_fsdp
from bakeoff.train.parts import OwnModuleParts, Parts
from bakeoff.train.settings import Settings


def check_devices(parts: Parts, settings: Settings) -> None:
    """Refuses parts and settings that several processes cannot share.

    Raises:
        UserError: names the setting, and the remedy.

    """
    devices = settings.trainer.devices
    if devices == 1:
        return
    reason = _misfit_of_settings(settings) or _misfit_of_parts(parts) or _misfit_of_sizes(parts, settings)
    if reason is not None:
        raise UserError(f"trainer.devices={devices}: {reason}")
    check_fsdp(parts, settings)


def _misfit_of_settings(settings: Settings) -> str | None:
    if settings.budget.seconds is not None:
        return "each process has its own clock; give budget.epochs, budget.steps or budget.samples"
    if settings.callbacks:
        return f"callbacks ({', '.join(settings.callbacks)}) would see a part of the data each; give trainer.devices=1"
    if settings.trainer.compile:
        return "trainer.compile=true is not supported with it"
    if settings.trainer.accumulate_grad_batches != 1:
        return "trainer.accumulate_grad_batches is not supported with it; give a larger batch_size"
    return None


def _misfit_of_parts(parts: Parts) -> str | None:
    if isinstance(parts, OwnModuleParts):
        return f"{type(parts.net).__name__} would log what it measures on a part of the data; give trainer.devices=1"
    if not parts.batches_are_ours:
        return f"{type(parts.data).__name__} makes its own batches; give arrays or a Dataset"
    if any(isinstance(module, BATCH_NORMS) for module in parts.net.modules()):
        return "BatchNorm would average over a part of each batch; use GroupNorm or LayerNorm"
    if parts.reads_in_workers:
        return "data.num_workers is not supported with it"
    return None


def _misfit_of_sizes(parts: Parts, settings: Settings) -> str | None:
    devices, n = settings.trainer.devices, parts.spec.n_train
    size = settings.global_batch_size
    if n is None:
        return "the data does not say how many samples it has"
    last = n % min(n, int(size)) if size != "full" else 0
    if 0 < last < devices or n < devices:
        return f"the last batch of an epoch has {last or n} samples, fewer than devices; give data.drop_last=true"
    held = parts.data.arrays.parts() if isinstance(parts.data, InMemoryDataModule) else {}
    sizes = {name: len(y) for name, (_, y) in held.items()} or {
        name: len(indices) for name, indices in getattr(parts.data, "indices", {}).items()
    }
    few = next((name for name in ("val", "test") if 0 < sizes.get(name, 0) < devices), None)
    return None if few is None else f"the {few} data has {sizes[few]} samples, fewer than devices"
