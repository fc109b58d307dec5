"""What the optimizers share: state, groups and the walk from `.grad` to one of the ways to take a step.

A subclass gives its bounds, the names of its averages and three ways to take a step: the definition, applied to
one parameter after the other; the same on lists (`_foreach`); and fused kernels (`_kernels`). `_ways` says which
tensors go which way.
"""

import inspect
from collections.abc import Callable
from itertools import product
from operator import attrgetter
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT, _use_grad_for_differentiable

from bakeoff.optim import _replicas
from bakeoff.optim._bounds import check_devices_of_fused, check_flags, check_lr
from bakeoff.optim._state import State, copied, new_count
from bakeoff.optim._step import take_step
from bakeoff.optim._tensors import Group, Tensors
from bakeoff.optim._trial import Kernel


class UpdateOptimizer(torch.optim.Optimizer):
    """An optimizer given by its pure update, with all that `torch.optim.Optimizer` offers around it."""

    counts_steps = True
    refuses_sparse: str | None = None  # torch's words, if the algorithm cannot use sparse gradients

    def __init__(self, params: ParamsT, defaults: Group, replicas: _replicas.Replicas | None = None) -> None:
        if replicas is not None:
            self._refuse_two_rates(defaults["lr"], replicas)
            defaults |= _replicas.as_group(replicas, self._may_differ)
        self._check(defaults)
        check_flags(defaults)
        super().__init__(params, defaults)
        self._take_scale_if_fused()

    @classmethod
    def _default(cls, name: str) -> Any:
        """What our own class has as default, whatever arguments a user's subclass takes."""
        ours = [base for base in cls.__mro__ if base.__module__.startswith("bakeoff.optim.")]
        arguments = (inspect.signature(base).parameters for base in ours)
        return next(of_base[name].default for of_base in arguments if name in of_base)

    def _refuse_two_rates(self, lr: float | Tensor, replicas: _replicas.Replicas) -> None:
        if "lr" in replicas and lr not in (1, self._default("lr")):
            raise ValueError(f"give lr or replicas={{'lr': ...}}, not both: got lr = {lr} and {replicas['lr']}")

    def _take_scale_if_fused(self) -> None:
        # GradScaler then leaves unscaling to `step`, and Lightning refuses to clip: only if it was asked for
        if self.defaults["fused"]:
            self._step_supports_amp_scaling = True

    # --- what a subclass gives

    _may_differ: tuple[str, ...] = ()  # hyperparameters that may differ by replica

    def _check(self, group: Group) -> None:
        """Raise ValueError if a hyperparameter of this group is out of bounds."""
        check_lr(group)
        _replicas.check(group, self._check)

    def _averages(self, group: Group) -> tuple[str, ...]:
        """The state names of the running averages that this group's options call for; they start at zero."""
        raise NotImplementedError

    def _define(self, tensors: Tensors, group: Group) -> None:
        """Take the step by the definition."""
        raise NotImplementedError

    def _foreach(self, tensors: Tensors, group: Group) -> None:
        """Take the step by operations on lists of tensors, all on one device and of one dtype."""
        raise NotImplementedError

    def _kernels(self, tensors: Tensors, group: Group) -> tuple[Kernel, ...]:
        """What takes the step reading and writing each tensor once; the best for these tensors first."""
        raise NotImplementedError

    # --- what torch's own classes do

    def add_param_group(self, param_group: Group) -> None:
        """Add a group as torch does, its own hyperparameters checked like the defaults."""
        if isinstance(param_group, dict):
            self._take_replicas(param_group)
            self._check({**self.defaults, **param_group})
        super().add_param_group(param_group)
        try:
            for param in self.param_groups[-1]["params"]:
                if param.is_neg() or param.is_conj():
                    raise ValueError(
                        "a parameter is yet to be negated or conjugated: give it resolve_conj().resolve_neg()"
                    )
            _replicas.check_shapes(self.param_groups[-1])
        except ValueError:
            self.param_groups.pop()
            raise

    def _take_replicas(self, group: Group) -> None:
        if "replicas" not in group:
            return
        if group["replicas"] is not None:
            self._refuse_two_rates(group.get("lr", 1), group["replicas"])
            group |= _replicas.as_group(group["replicas"], self._may_differ)
        elif "lr" in (self.defaults.get("replicas") or {}) and "lr" not in group:
            raise ValueError("a group without replicas needs an lr of its own: the optimizer's is one for each replica")

    def load_state_dict(self, state_dict: State) -> None:
        """Load as torch does, a copy: steps write in place, and torch would share the tensors.

        Raises ValueError if replicas do not fit the parameters, or are lost; RuntimeError if the state does not fit.
        """
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=False):
            if _replicas.count(group) and not _replicas.count(saved):
                raise ValueError("the state dict is one without replicas: load it into an optimizer without")
            _replicas.check_shapes({**saved, "params": group["params"]})
        super().load_state_dict({**state_dict, "state": copied(state_dict["state"])})
        for group in self.param_groups:
            for param, name in product(group["params"], self._averages(group)):
                value = self.state.get(param, {}).get(name, param)
                if value.shape != param.shape and not value.is_sparse:
                    raise RuntimeError(
                        f"the size of {name} in the state dict, {tuple(value.shape)}, must match the size of its "
                        f"parameter, {tuple(param.shape)}: load it into the net that it was saved with"
                    )

    def __setstate__(self, state: State) -> None:
        super().__setstate__(state)
        self._take_scale_if_fused()
        for group in self.param_groups:
            for name in self.defaults:
                group.setdefault(name, self._default(name))
            for param in group["params"]:
                values = self.state.get(param, {})
                for name in [name for name, value in values.items() if value is None]:
                    del values[name]  # torch's SGD used to keep None for the buffer that is yet to begin
                if "step" in values and not isinstance(values["step"], Tensor):
                    values["step"] = new_count(values["step"], param, group)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient; return what the closure, called first, returned.

        Raises RuntimeError on a gradient that the algorithm cannot use (sparse ones, but for SGD).
        """
        if "capturable" in self.defaults and _may_be_captured():
            _check_capture(self)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        grad_scale, found_inf = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        if found_inf is not None and (found_inf.is_cpu or self._begins()):
            # kernels could not leave unmade the state that a first step makes, so ask
            if found_inf.item():
                return loss
            found_inf = None
        for group in self.param_groups:
            for tensors in self._gather(group):
                take_step(self, tensors, group, grad_scale, found_inf)
        return loss

    # --- from gradients to the ways

    def _begins(self) -> bool:
        """Whether this step is the first for some parameter."""
        return any(
            param.grad is not None and not self.state.get(param)
            for group in self.param_groups
            if self._averages(group)
            for param in group["params"]
        )

    def _gather(self, group: Group) -> list[Tensors]:
        """The tensors of the parameters that have a gradient."""
        params, grads = group["params"], list(map(attrgetter("grad"), group["params"]))
        if any(grad is None for grad in grads):
            params = [param for param, grad in zip(params, grads, strict=True) if grad is not None]
            grads = [grad for grad in grads if grad is not None]
        if group["fused"]:
            check_devices_of_fused(params)
        names = self._averages(group)
        if not params or not (names or self.counts_steps):
            return [Tensors(params, grads, {}, [])] if params else []
        states = [self.state[param] for param in params]
        try:
            averages = {name: [state[name] for state in states] for name in names}
            steps = [state["step"] for state in states] if self.counts_steps else []
        except KeyError:
            return self._begin(params, grads, states, group)
        return [Tensors(params, grads, averages, steps)]

    def _begin(self, params: list[Tensor], grads: list[Tensor], states: list[State], group: Group) -> list[Tensors]:
        """Gather once more, the missing state made: averages of zero after no step."""
        for param, state in zip(params, states, strict=True):
            if "step" not in state:
                state["step"] = new_count(0, param, group)
            for name in self._averages(group):
                if name not in state:
                    state[name] = torch.zeros_like(param, memory_format=torch.preserve_format)
        return self._gather(group)


def _may_be_captured() -> bool:
    # torch's check asks for GPUs anew, which takes 80 us a step under Lightning, where none is
    return bool(torch.cuda.is_initialized() or torch.xpu.is_initialized())


def _check_capture(optimizer: torch.optim.Optimizer) -> None:
    """Torch's own check that a captured step is of capturable groups; it has changed its name."""
    name = "_accelerator_graph_capture_health_check"
    getattr(optimizer, name if hasattr(optimizer, name) else "_cuda_graph_capture_health_check")()
