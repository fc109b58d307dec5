"""Replicas: K runs in parameters stacked `[K, ...]`, each slice trained as if by an optimizer of its own.

`replicas={"lr": [0.1, 0.01], "weight_decay": [0, 1e-4]}` gives replica k its own values. They stand in the group
under "replicas"; `group["lr"]` stays one number, as schedulers need it: a factor on every replica's learning rate
that starts at 1. Slices never meet in an operation, so a NaN in one leaves the others as they are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bakeoff.optim._tensors import Group, Tensors

Replicas = Mapping[str, Sequence[Any]]


def as_group(replicas: Replicas, may_differ: tuple[str, ...]) -> Group:
    """What `replicas` puts into a group. Raises ValueError if it names what may not differ, or lengths differ."""
    if not replicas or not set(replicas) <= set(may_differ):
        raise ValueError(f"replicas must give values of {', '.join(may_differ)}, got {list(replicas)}")
    lengths = {name: len(values) for name, values in replicas.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise ValueError(f"replicas must give every hyperparameter one value for each replica, got {lengths} values")
    values = {name: [tuple(v) if name == "betas" else v for v in values] for name, values in replicas.items()}
    return {"replicas": values, **({"lr": 1.0} if "lr" in values else {})}


def count(group: Group) -> int | None:
    """K, or None for an ordinary group."""
    replicas = group.get("replicas")
    return len(next(iter(replicas.values()))) if replicas else None


def own(group: Group, k: int) -> Group:
    """The group as replica k has it."""
    values = {name: of_all[k] for name, of_all in group["replicas"].items()}
    if "lr" in values:
        values["lr"] = values["lr"] * group["lr"]
    return {**group, **values, "replicas": None}


def values(group: Group, *names: str) -> dict[str, Any]:
    """What a kernel for all replicas at once needs: K, and K values of each hyperparameter."""
    replicas = count(group)
    if replicas is None:
        values = {name: [group[name]] for name in names}
        return {"replicas": 1, **values, **({"lr": group["lr"]} if isinstance(group["lr"], Tensor) else {})}
    own_values = [own(group, k) for k in range(replicas)]
    by_name: dict[str, Any] = {name: [of_one[name] for of_one in own_values] for name in names}
    if isinstance(by_name["lr"][0], Tensor):
        by_name["lr"] = torch.stack(by_name["lr"])
    return {"replicas": replicas, **by_name}


def each(tensors: Tensors, group: Group) -> Iterator[tuple[Tensors, Group]]:
    """Every replica's slices with its group; an ordinary group's tensors as they are."""
    replicas = count(group)
    if replicas is None:
        yield tensors, group
        return
    for k in range(replicas):
        yield tensors.replica(k), own(group, k)


def check(group: Group, check_one: Callable[[Group], None]) -> None:
    """Check every replica's hyperparameters like those of an ordinary group."""
    for k in range(count(group) or 0):
        try:
            check_one(own(group, k))
        except ValueError as error:
            raise ValueError(f"{error} (replica {k})") from None


def check_shapes(group: Group) -> None:
    """Raise ValueError unless every parameter of the group has K slices."""
    replicas = count(group)
    for param in group["params"] if replicas is not None else ():
        if param.dim() == 0 or param.shape[0] != replicas:
            raise ValueError(
                f"parameters must be stacked [{replicas}, ...] for {replicas} replicas, got shape {tuple(param.shape)}"
            )
