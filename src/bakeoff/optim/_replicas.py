"""Replicas: K runs in parameters stacked `[K, ...]`, each slice trained as if by an optimizer of its own.

`replicas={"lr": [0.1, 0.01], "weight_decay": [0, 1e-4]}` gives replica k its own values. The group holds them under
"replicas"; `group["lr"]` stays one number, as schedulers need it: a factor on every replica's learning rate that
starts at 1. No operation combines slices, so a NaN in one leaves the others as they are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bakeoff.optim._tensors import Group, Tensors

Replicas = Mapping[str, Sequence[Any]]


def as_group(replicas: Replicas, names: tuple[str, ...]) -> Group:
    """What `replicas` puts into a group. Raises ValueError if it has others than these names, or lengths differ."""
    if not replicas or not set(replicas) <= set(names):
        raise ValueError(f"replicas must give values of {', '.join(names)}, got {list(replicas)}")
    if any(not hasattr(values, "__len__") for values in replicas.values()):
        raise ValueError(f"replicas must give a list of values, one for each replica, got {dict(replicas)}")
    lengths = {name: len(values) for name, values in replicas.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise ValueError(f"replicas must give every hyperparameter one value for each replica, got {lengths} values")
    # plain numbers: a state dict is to be loaded with weights_only=True
    numbers = {name: [_to_float(value) for value in values] for name, values in replicas.items()}
    return {"replicas": numbers, **({"lr": 1.0} if "lr" in numbers else {})}


def _to_float(value: Any) -> float | tuple[float, ...]:
    return tuple(map(float, value)) if isinstance(value, Sequence) else float(value)


def count(group: Group) -> int | None:
    """K, or None for an ordinary group."""
    replicas = group.get("replicas")
    return len(next(iter(replicas.values()))) if replicas else None


def own(group: Group, k: int) -> Group:
    """The group with the values of replica k."""
    differing = {name: of_all[k] for name, of_all in group["replicas"].items()}
    if "lr" in differing:
        differing["lr"] = differing["lr"] * group["lr"]
    return {**group, **differing, "replicas": None}


def values(group: Group, *names: str) -> dict[str, Any]:
    """The arguments of a kernel for all replicas at once: K, and K values of each hyperparameter."""
    replicas = count(group)
    if replicas is None:
        of_one = {name: [group[name]] for name in names}
        return {"replicas": 1, **of_one, **({"lr": group["lr"]} if isinstance(group["lr"], Tensor) else {})}
    own_values = [own(group, k) for k in range(replicas)]
    by_name: dict[str, Any] = {name: [of_replica[name] for of_replica in own_values] for name in names}
    if isinstance(by_name["lr"][0], Tensor):
        by_name["lr"] = torch.stack(by_name["lr"])
    return {"replicas": replicas, **by_name}


def each(tensors: Tensors, group: Group) -> Iterator[tuple[Tensors, Group]]:
    """Each replica's slices and group; the tensors and group as they are if there are no replicas."""
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
        if any(placement.is_shard(0) for placement in getattr(param, "placements", ())):
            raise ValueError(
                "replicas of a DTensor must not be split among ranks: shard it on another axis than the first"
            )
        if param.dim() == 0 or param.shape[0] != replicas:
            raise ValueError(
                f"parameters must be stacked [{replicas}, ...] for {replicas} replicas, got shape {tuple(param.shape)}"
            )
