"""Several optimizers as one: rules say which of them has which parameters.

split(named_parameters(net), rules={"muon": {"kind": "hidden", "ndim": 2}, "adamw": {"rest": True}},
      muon=torch.optim.Muon, adamw=partial(AdamW, lr=1e-3))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, overload

import torch
from torch import Tensor

from bakeoff.module.build_optimizer import OptimizerFactory, takes_names
from bakeoff.module.named_parameters import NamedParameter
from bakeoff.module.param_groups import ParamGroupsError, Rules, options_of, select

KEY = "optimizer.rules"  # where the rules stand in the settings


def split(named_parameters: Sequence[NamedParameter], *, rules: Rules, **optimizers: Any) -> SplitOptimizer:
    """One optimizer for each rule, called with the parameters that the rule selects.

    Args:
        named_parameters: see `bakeoff.module.named_parameters`.
        rules: name -> rule without options; see `bakeoff.module.param_groups.select`.
        optimizers: name of a rule -> factory, such as `functools.partial(AdamW, lr=1e-3)`.

    Raises:
        ParamGroupsError: a parameter is in no rule or in several; a rule has no optimizer, or the other way round; or
            a rule selects nothing.

    """
    _check(rules, optimizers)
    if not all(isinstance(pair, NamedParameter) for pair in named_parameters):
        raise ParamGroupsError(
            "optimizer: several optimizers are to be called with bakeoff.module.named_parameters(net), which say names "
            "and kinds; got other parameters"
        )
    chosen = select(rules, named_parameters, KEY)
    for name, pairs in chosen.items():
        if not pairs:
            raise ParamGroupsError(
                f"{KEY}.{name}: this net has no parameter for {name} ({_as_text(rules[name])}); "
                "choose another optimizer"
            )
    made = {name: _call(optimizers[name], pairs) for name, pairs in chosen.items()}
    switches = any(callable(getattr(optimizer, "eval", None)) for optimizer in made.values())
    return SwitchingSplitOptimizer(made) if switches else SplitOptimizer(made)


def _call(factory: OptimizerFactory, pairs: list[NamedParameter]) -> torch.optim.Optimizer:
    return factory(pairs if takes_names(factory) else [parameter for _, parameter in pairs])


class SplitOptimizer(torch.optim.Optimizer):
    """Makes the steps of several optimizers, none of which shares a parameter with another.

    Its groups are theirs, the same dictionaries: what a schedule or a user changes in them, the optimizers read. A
    group that has no `name` gets that of its optimizer.

    Args:
        optimizers: name -> optimizer.

    Raises:
        ValueError: two have the same parameter.

    """

    def __init__(self, optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        self.optimizers = dict(optimizers)
        parameters = [p for optimizer in self.optimizers.values() for g in optimizer.param_groups for p in g["params"]]
        if len({id(parameter) for parameter in parameters}) < len(parameters):
            raise ValueError(f"{' and '.join(self.optimizers)} share a parameter; give it to one of them")
        super().__init__(parameters, {})
        for name, optimizer in self.optimizers.items():
            several = len(optimizer.param_groups) > 1
            for i, group in enumerate(optimizer.param_groups):
                group.setdefault("name", f"{name}/{i}" if several else name)
        self._use_their_groups()
        self.state = _States(self.optimizers)  # type: ignore[assignment]  # torch asks for a defaultdict

    def _use_their_groups(self) -> None:
        self.param_groups = [group for optimizer in self.optimizers.values() for group in optimizer.param_groups]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refused once the optimizers are there: nothing says which of them the group is for.

        Raises:
            ValueError: always, then.

        """
        if isinstance(self.state, _States):
            raise ValueError(f"add the group to one of the optimizers {', '.join(self.optimizers)}")
        super().add_param_group(param_group)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step of each, all at the gradients of one call of the closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self.optimizers.values():
            optimizer.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Name -> state dict of each."""
        return {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores each.

        Raises:
            ValueError: the state is that of other optimizers.

        """
        if set(state_dict) != set(self.optimizers):
            raise ValueError(f"the state is that of {', '.join(state_dict)}; these are {', '.join(self.optimizers)}")
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state_dict[name])
        self._use_their_groups()  # torch replaces the dictionaries

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has copies of the optimizers."""
        return type(self), (self.optimizers,)


class SwitchingSplitOptimizer(SplitOptimizer):
    """One in which some optimizers have weights to train and weights to use; see `bakeoff.module.optimizer_mode`."""

    def train(self) -> None:
        """The weights at which gradients are taken."""
        for optimizer in self._switching():
            optimizer.train()

    def eval(self) -> None:
        """The weights to use."""
        for optimizer in self._switching():
            optimizer.eval()

    def _switching(self) -> list[Any]:
        return [optimizer for optimizer in self.optimizers.values() if callable(getattr(optimizer, "eval", None))]


class _States(MutableMapping[Tensor, Any]):
    """Parameter -> its state, in whichever optimizer has it; looked up anew, as loading replaces their states."""

    def __init__(self, optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        self._optimizers = optimizers

    def _of(self, parameter: Tensor) -> MutableMapping[Tensor, Any]:
        for optimizer in self._optimizers.values():
            if any(p is parameter for group in optimizer.param_groups for p in group["params"]):
                return optimizer.state
        raise KeyError(parameter)

    def __getitem__(self, parameter: Tensor) -> Any:
        return self._of(parameter)[parameter]

    def __setitem__(self, parameter: Tensor, state: Any) -> None:
        self._of(parameter)[parameter] = state

    def __delitem__(self, parameter: Tensor) -> None:
        del self._of(parameter)[parameter]

    def __contains__(self, parameter: object) -> bool:
        return any(parameter in optimizer.state for optimizer in self._optimizers.values())

    def __iter__(self) -> Iterator[Tensor]:
        for optimizer in self._optimizers.values():
            yield from list(optimizer.state)

    def __len__(self) -> int:
        return sum(len(optimizer.state) for optimizer in self._optimizers.values())


def _check(rules: Rules, optimizers: Mapping[str, Any]) -> None:
    if not isinstance(rules, Mapping):
        raise ParamGroupsError(f"{KEY} must be a name and a rule for each optimizer, got {rules}")
    if not rules:
        raise ParamGroupsError(
            f"{KEY} are missing; give +{KEY}.a.rest=true +optimizer.a._target_=torch.optim.SGD "
            "+optimizer.a._partial_=true"
        )
    for name in [*rules, *optimizers]:
        if name not in optimizers:
            raise ParamGroupsError(f"{KEY}.{name} has no optimizer; give +optimizer.{name}._target_=package.Class")
        if not callable(optimizers[name]) and name not in rules:
            raise ParamGroupsError(
                f"optimizer.{name} is no optimizer, and has no rule; options stand with theirs, such as "
                f"optimizer.{next(iter(rules))}.{name}=..."
            )
        if not callable(optimizers[name]):
            raise ParamGroupsError(
                f"optimizer.{name} must be a factory, got {type(optimizers[name]).__name__}; give "
                f"optimizer.{name}._partial_=true"
            )
        if name not in rules:
            raise ParamGroupsError(f"optimizer.{name} has no parameters; give +{KEY}.{name}.rest=true or another rule")
        if isinstance(rules[name], Mapping) and (options := options_of(rules[name])):
            option = next(iter(options))
            raise ParamGroupsError(f"nothing reads {KEY}.{name}.{option}; give optimizer.{name}.{option}=...")


def _as_text(rule: Mapping[str, Any]) -> str:
    return ", ".join(f"{selector}: {value}" for selector, value in rule.items())
