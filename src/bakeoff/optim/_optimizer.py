"""What the optimizers share: state, groups, and the step from `.grad`.

A new optimizer is its definition: a subclass names its running averages (`_averages`), gives its pure update
(`_update`) and passes its hyperparameters to `__init__`. It then has every feature of `torch.optim.Optimizer`, replicas
included. Bounds (`_check`), operations on lists (`_foreach_step`) and fused kernels (`_kernels`) are optional.
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
from bakeoff.optim._algorithm import Kernel, ListUpdate
from bakeoff.optim._state import State, copied, new_count
from bakeoff.optim._step import take_step
from bakeoff.optim._tensors import Group, Tensors, before_step, in_single
from bakeoff.optim._validation import check_flags, check_fused_params, check_lr

Averages = dict[str, Tensor]
# what every group has, whether the class has such an argument or not
_FLAGS: Group = {"foreach": None, "fused": None, "differentiable": False}
_NOT_COUNTED = torch.zeros((), device="cpu")


class UpdateOptimizer(torch.optim.Optimizer):
    """An optimizer given by its pure update, with everything that `torch.optim.Optimizer` offers."""

    def __init__(self, params: ParamsT, defaults: Group, replicas: _replicas.Replicas | None = None) -> None:
        defaults = {**_FLAGS, **defaults}
        if replicas is not None:
            self._refuse_two_learning_rates(defaults["lr"], replicas)
            defaults |= _replicas.as_group(replicas, self._per_replica_names(defaults))
        self._check(defaults)
        check_flags(defaults)
        super().__init__(params, defaults)
        self._leave_unscaling_to_step_if_fused()

    # --- what a subclass gives

    _counts_steps = True  # whether the state holds `step`
    _sparse_error: str | None = "sparse gradients are not supported"  # None if they are
    _foreach_step: ListUpdate | None = None
    _per_replica: tuple[str, ...] | None = None  # hyperparameters that may differ by replica; None for every number

    def _averages(self, group: Group) -> tuple[str, ...]:
        """The state names of the running averages that this group's options need; they start at zero."""
        return ()

    def _update(
        self, param: Tensor, grad: Tensor, averages: Averages, group: Group, step: Tensor
    ) -> tuple[Tensor, Averages]:
        """The definition: parameter and averages after a step, from those before it, which stay as they are.

        `step` is the state's count, from 1 (`_state.count` gives the number); 0 where steps are not counted.
        """
        raise NotImplementedError

    def _check(self, group: Group) -> None:
        """Raise ValueError if a hyperparameter of this group is out of bounds."""
        check_lr(group)
        _replicas.check(group, self._check)

    def _kernels(self, tensors: Tensors, group: Group) -> tuple[Kernel, ...]:
        """The fused kernels for these tensors, the fastest first."""
        return ()

    def _definition_step(self, tensors: Tensors, group: Group) -> None:
        """Take the step by the definition, one parameter after the other."""
        for i in range(len(tensors)):
            averages = {name: of_all[i] for name, of_all in tensors.averages.items()}
            old = {} if tensors.first else {name: before_step(value, group) for name, value in averages.items()}
            param, grad = before_step(tensors.params[i], group), in_single(tensors.grads[i])
            new_param, new = self._update(param, grad, old, group, tensors.steps[i] if tensors.steps else _NOT_COUNTED)
            tensors.params[i].copy_(new_param)
            for name, value in new.items():
                averages[name].copy_(value)

    # --- what torch's own classes do

    def add_param_group(self, param_group: Group) -> None:
        """Add a group as torch does. Raises ValueError if one of its own hyperparameters is out of bounds."""
        if isinstance(param_group, dict):
            self._expand_replicas(param_group)
            self._check({**self.defaults, **param_group})
        super().add_param_group(param_group)
        self._separate_tensors()
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

    def load_state_dict(self, state_dict: State) -> None:
        """Load a copy: steps write in place, and torch would share the tensors.

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
        self._leave_unscaling_to_step_if_fused()
        for group in self.param_groups:
            for name in self.defaults:
                group.setdefault(name, self._default(name, otherwise=self.defaults[name]))
        self._separate_tensors()
        for group in self.param_groups:
            for param in group["params"]:
                values = self.state.get(param, {})
                for name in [name for name, value in values.items() if value is None]:
                    del values[name]  # older versions of torch's SGD keep None for a buffer that does not exist yet
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
        if found_inf is not None and (found_inf.is_cpu or self._has_uninitialized_state()):
            # kernels cannot undo the state that a first step creates, so wait for the flag
            if found_inf.item():
                return loss
            found_inf = None
        for group in self.param_groups:
            for tensors in self._gather(group):
                take_step(self, tensors, group, grad_scale, found_inf)
        return loss

    # --- defaults and replicas

    def _default(self, name: str, otherwise: Any = None) -> Any:
        """The default of an argument of the constructor: this class's, or that of the next base that has one."""
        for base in type(self).__mro__:
            argument = inspect.signature(base).parameters.get(name)
            if argument is not None and argument.default is not inspect.Parameter.empty:
                return argument.default
        return _FLAGS.get(name, otherwise)

    def _refuse_two_learning_rates(self, lr: float | Tensor, replicas: _replicas.Replicas) -> None:
        if "lr" in replicas and lr not in (1, self._default("lr")):
            raise ValueError(f"give lr or replicas={{'lr': ...}}, not both: got lr = {lr} and {replicas['lr']}")

    def _per_replica_names(self, defaults: Group) -> tuple[str, ...]:
        """The hyperparameters that may differ by replica."""
        if self._per_replica is not None:
            return self._per_replica
        return tuple(name for name, value in defaults.items() if type(value) in (float, int, tuple))

    def _expand_replicas(self, group: Group) -> None:
        if "replicas" not in group:
            return
        if group["replicas"] is not None:
            self._refuse_two_learning_rates(group.get("lr", 1), group["replicas"])
            group |= _replicas.as_group(group["replicas"], self._per_replica_names(self.defaults))
        elif "lr" in (self.defaults.get("replicas") or {}) and "lr" not in group:
            raise ValueError("a group without replicas needs an lr of its own: the optimizer's is one for each replica")

    def _separate_tensors(self) -> None:
        """Gives each group, and the defaults, a tensor of its own where several would share one.

        A scheduler writes into a group's tensor, and torch's shares it: `ReduceLROnPlateau` multiplies it once for each
        group, and a group that is added later begins with what schedules have made of it. The first group keeps the
        tensor that was given. One that is learned itself stays shared, so that its gradient is one.
        """
        seen: set[int] = set()
        for group in (*self.param_groups, self.defaults):
            for name, value in group.items():
                if isinstance(value, Tensor) and not value.requires_grad:
                    if id(value) in seen:
                        group[name] = value = value.clone()
                    seen.add(id(value))

    def _leave_unscaling_to_step_if_fused(self) -> None:
        # GradScaler then passes its scale to `step`, and Lightning refuses to clip: only if the user asked for it
        if self.defaults["fused"]:
            self._step_supports_amp_scaling = True

    # --- from gradients to tensors and state

    def _has_uninitialized_state(self) -> bool:
        """Whether this step is the first of some parameter."""
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
            check_fused_params(params)
        names = self._averages(group)
        if not params or not (names or self._counts_steps):
            return [Tensors(params, grads, {}, [])] if params else []
        states = [self.state[param] for param in params]
        try:
            averages = {name: [state[name] for state in states] for name in names}
            steps = [state["step"] for state in states] if self._counts_steps else []
        except KeyError:
            return self._initialize_and_gather(params, grads, states, group)
        return [Tensors(params, grads, averages, steps)]

    def _initialize_and_gather(
        self, params: list[Tensor], grads: list[Tensor], states: list[State], group: Group
    ) -> list[Tensors]:
        """Create the missing state, averages of zero after no step, and gather again."""
        for param, state in zip(params, states, strict=True):
            if self._counts_steps and "step" not in state:
                state["step"] = new_count(0, param, group)
            for name in self._averages(group):
                if name not in state:
                    state[name] = torch.zeros_like(param, memory_format=torch.preserve_format)
        return self._gather(group)


def _may_be_captured() -> bool:
    # torch's check asks for GPUs each time, which takes 80 us a step under Lightning where there is none
    return bool(torch.cuda.is_initialized() or torch.xpu.is_initialized())


def _check_capture(optimizer: torch.optim.Optimizer) -> None:
    """Torch's own check that a captured step is of capturable groups; its name depends on the version."""
    name = "_accelerator_graph_capture_health_check"
    getattr(optimizer, name if hasattr(optimizer, name) else "_cuda_graph_capture_health_check")()
