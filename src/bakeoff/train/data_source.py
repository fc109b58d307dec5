"""Loads the data of a run, and says what identifies it: its content where that is known, else its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import lightning.pytorch as pl
import torch

from bakeoff.data import Arrays, DataSpec, array, as_datamodule
from bakeoff.data.batches import Originals
from bakeoff.data.held import Held, held_by
from bakeoff.data.sample_checks import find_fault
from bakeoff.errors import UserError
from bakeoff.runs.file_state import NO_LIMIT, Limit, content_of, state_of
from bakeoff.train.data_files import contains_work, named_files
from bakeoff.train.ignored_label import ignored_label
from bakeoff.train.instantiate import instantiate
from bakeoff.train.loader_options import without_loader_options
from bakeoff.train.settings import Node, Settings

# of files that nobody has declared to be the data: more are known by their names and sizes alone
LIMIT = Limit(files=10_000, size=2**30)


PACKAGES_WITHOUT_STATE = ("bakeoff.", "numpy.", "torch.")  # what their functions read, their settings name


@dataclass(frozen=True)
class DataIdentity:
    """What identifies the data of a run.

    `decisive` stands in the run's identity. `files` are the states of the files by which it is seen, without loading
    it, that the data is the same (`bakeoff.runs.file_state`); None where it must be loaded for that. `assumed` says
    what is assumed unchanged; None where all is known.
    """

    decisive: Any
    files: Mapping[str, str] | None = None
    assumed: str | None = None


def load_data(settings: Settings) -> tuple[pl.LightningDataModule, DataSpec, DataIdentity]:
    """The data, ready to be served, what a net needs to know of it, and what identifies it.

    Raises:
        UserError: it cannot be loaded, or a file of it changed meanwhile.

    """
    node, options = without_loader_options(settings.data)
    settings = replace(settings, data=node)
    pl.seed_everything(0, workers=True, verbose=False)  # modules that are imported now may draw, too
    is_ours = all(target.startswith(PACKAGES_WITHOUT_STATE) for target in _targets(settings.data))
    named = named_files(settings.data, with_defaults=not is_ours)
    before = {path: state_of(path) for path in named.values() if not contains_work(path, settings.root)}
    ignored = ignored_label(settings.loss)
    source = _load(_with_ignored(settings.data, ignored), before if is_ours else None)
    # before its samples are looked at: it may keep them
    held = None if isinstance(source, (Arrays, pl.LightningDataModule)) else held_by(source)
    if isinstance(source, Arrays) and not is_ours:  # ours were checked as they were read
        _refuse_not_finite(source)
    data, spec = as_datamodule(
        source,
        batch_size=settings.global_batch_size,
        seed=settings.seed_of_data,
        **options._asdict(),
        ignore_index=ignored,
        any_batches=settings.has_own_module,
    )
    if spec.digest is not None:
        unchanged = is_ours and named_files(settings.data, with_defaults=False) == named and _are_as_they_were(before)
        return data, spec, DataIdentity(spec.digest, _certain(before) if unchanged else None)
    changed = next((path for path, state in before.items() if state is not None and state_of(path) != state), None)
    if changed is not None:
        raise UserError(f"data: {changed} changed while the data was loaded; run the command again")
    return data, spec, _identify(settings, held or held_by(source), named, before)


def _with_ignored(node: Node, ignored: int | None) -> Node:
    """Says to a user's own arrays which label of a token or pixel the loss ignores, which is then no class."""
    is_array = node.get("_target_") == f"{array.__module__.rpartition('.')[0]}.{array.__name__}"
    return {**node, "ignore_index": ignored} if is_array and node.get("ignore_index") is None else node


def _refuse_not_finite(arrays: Arrays) -> None:
    for part, (x, y) in arrays.parts().items():
        if not all(bool(torch.isfinite(values).all()) for values in (x, y)):
            samples = list(zip(x, y, strict=True))
            raise UserError(find_fault(samples, range(len(samples)), part, None))


def _identify(
    settings: Settings, held: Held, named: Mapping[str, str], states: Mapping[str, str | None]
) -> DataIdentity:
    """Of a user's own Dataset or LightningDataModule."""
    plain = settings.as_dict()["data"]
    if held.is_declared:
        content, _ = content_of(held.files, NO_LIMIT)
        return DataIdentity({"settings": plain, "declared": [held.digest, content if held.files else None]})
    usable = {key: path for key, path in named.items() if path in states}
    files = {key: content_of([path], LIMIT) for key, path in usable.items()}
    own = [path for path in held.files if not contains_work(path, settings.root)]
    own_content, own_is_read = content_of(own, LIMIT)
    is_known = held.is_known and own_is_read and len(own) == len(held.files)
    assumed = None if is_known else f"the data that {settings.data.get('_target_')} reads"
    found: dict[str, Any] = {"files": {key: content for key, (content, _) in files.items()}} if files else {}
    if held.digest is not None or own:
        found["held"] = [held.digest, own_content if own else None]
    return DataIdentity(
        {"settings": plain, **found} if found else plain, None if "held" in found else _certain(states), assumed
    )


def _certain(states: Mapping[str, str | None]) -> Mapping[str, str] | None:
    known = {path: state for path, state in states.items() if state is not None}
    return known if len(known) == len(states) else None


def _are_as_they_were(states: Mapping[str, str | None]) -> bool:
    return all(state is not None and state_of(path) == state for path, state in states.items())


def _load(settings: Node, states: Mapping[str, str | None] | None) -> Any:
    """The data source that `data` names, the same for every seed: one that draws its data draws it from seed 0.

    Our own tensors never change while the files do not (`states`), so the last few are kept for the next run. What a
    user's own function reads is not known, and a data set may have a state: those are loaded anew.
    """
    pl.seed_everything(0, workers=True, verbose=False)
    files = None if states is None else _certain(states)
    if files is None:
        return instantiate("data", settings)
    key = json.dumps([settings, files], sort_keys=True, default=str)
    try:
        arrays, originals = _load_arrays(key)
        if originals.are_changed:  # by a run that has failed for that
            _load_arrays.cache_clear()
            arrays, _ = _load_arrays(key)
        return arrays
    except _NotArraysError as found:
        return found.args[0]


@lru_cache(maxsize=2)
def _load_arrays(text: str) -> tuple[Arrays, Originals]:
    source = instantiate("data", json.loads(text)[0])
    if not isinstance(source, Arrays):
        raise _NotArraysError(source)
    return source, Originals(*(tensor for part in source.parts().values() for tensor in part))


class _NotArraysError(Exception):
    """Carries what is not Arrays past the cache: it may hold a state of its own."""


def _targets(node: Any) -> list[str]:
    items = list(node.values()) if isinstance(node, Mapping) else node if isinstance(node, list) else []
    own = [str(node["_target_"])] if isinstance(node, Mapping) and node.get("_target_") else []
    return own + [target for item in items for target in _targets(item)]
