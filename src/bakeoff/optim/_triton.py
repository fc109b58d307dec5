# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"
"""The updates of `sgd`, `rmsprop` and `adam` for CUDA: one launch of a Triton kernel moves a whole list of tensors.

A step is bound by memory, so each element is read and written once; math is float32, float64 for float64. A block of
the launch finds its work in tables on the device:

    row_of_block      block -> row
    rows              (tensor, replica) -> [shift, begin, end, replica, aligned, address in each of the lists...]
    hyperparameters   replica -> [γ, λ, ...]

and covers those of the _BLOCK elements from (shift + block) _BLOCK on that lie in [begin, end). So it serves one
replica, and nothing reaches another; and it starts at a multiple of _BLOCK in the whole tensor, so that even of an
odd-sized replica all blocks but the outer two move 16 bytes at a time. A table stays on the device until an address,
a size or a value in it changes.

The caller has checked that the tensors of a call share one device and dtype, and that a parameter, its gradient and
its states are dense with equal strides: flat memory is walked. An empty list is a state that is not in use. Replica k
of K is the k-th of K equal slices of each parameter. A hyperparameter is a sequence of K floats; `lr` may be a tensor
of 1 or K elements on the device. `grad_scale` divides the gradients in place, and where `found_inf` is nonzero nothing
is written, as in torch's fused optimizers; both are tensors on the device or None. Importing this imports Triton.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, count
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.graph import increment_version

Tensors = Sequence[Tensor]
Floats = Sequence[float]
LaunchContext = tuple[torch.device, int, int]  # device, stream, capture
_TYPES = {torch.float16: tl.float16, torch.bfloat16: tl.bfloat16, torch.float32: tl.float32, torch.float64: tl.float64}
_BLOCK = tl.constexpr(2048)
# columns of `rows`
_SHIFT, _BEGIN, _END, _REPLICA, _ALIGNED = (tl.constexpr(column) for column in range(5))
_PARAM, _GRAD, _STATE = (tl.constexpr(column) for column in range(5, 8))


@triton.jit
def _block(rows, row_of_block, hyperparameters, lr, found_inf, WIDTH: tl.constexpr, H: tl.constexpr, LR_STRIDE):
    """The block's row, first element and bounds; which copy of the code it runs; its replica's values and γ."""
    block = tl.program_id(0)
    row = rows + tl.load(row_of_block + block).to(tl.int64) * WIDTH
    start = (tl.load(row + _SHIFT) + block) * _BLOCK
    low, high, replica = tl.load(row + _BEGIN) - start, tl.load(row + _END) - start, tl.load(row + _REPLICA)
    # 1: all of them, 16 bytes at a time; 0: some; 2: none
    copy = tl.where((tl.load(row + _ALIGNED) != 0) & (low <= 0) & (high >= _BLOCK), 1, 0)
    if found_inf is not None:
        copy = tl.where(tl.load(found_inf) == 0, copy, 2)
    values = hyperparameters + replica * H
    gamma = tl.load(values)
    if lr is not None:
        gamma = tl.load(lr + replica * LR_STRIDE).to(gamma.dtype)
    return row, start, low, high, copy, values, gamma


@triton.jit
def _elements(row, column, start, TYPE: tl.constexpr, WHOLE: tl.constexpr):
    tensor = tl.multiple_of(tl.load(row + column).to(tl.pointer_type(TYPE)), 16 if WHOLE else 1)
    return tensor + start + tl.arange(0, _BLOCK)


@triton.jit
def _mask(low, high, WHOLE: tl.constexpr):
    i = tl.arange(0, _BLOCK)
    return (i >= low) & (i < high) | (WHOLE == 1)


# Triton's own `/` and sqrt are approximate in float32, and its sqrt takes subnormals for zero
@triton.jit
def _divide(x, y):
    return tl.div_rn(x, y) if x.dtype == tl.float32 else x / y


@triton.jit
def _sqrt(x):
    return tl.sqrt_rn(x) if x.dtype == tl.float32 else tl.sqrt(x)


@triton.jit
def _lerp(x, y, keep, weight):
    """Keep x + weight y, keep = 1 - weight, rounded as by torch.lerp."""
    return tl.where(weight < 0.5, x + weight * (y - x), y - keep * (y - x))


@triton.jit
def _one_minus_power(log_beta, t, TERMS: tl.constexpr):
    """1 - β^t = -(e^x - 1), x = t ln β: near 0, where the difference cancels, by the series of e^x."""
    x = t * log_beta
    near = tl.maximum(x, -0.5)
    series = near * 0 + 1
    for n in tl.static_range(TERMS):
        series = 1 + _divide(series * near, near * 0 + (TERMS + 1 - n))
    return tl.where(x > -0.5, -near * series, 1 - tl.exp(x))


@triton.jit
def _gradient(g, g_at, mask, p, grad_scale, weight_decay, MAXIMIZE: tl.constexpr):
    if grad_scale is not None:
        g = _divide(g, tl.load(grad_scale).to(p.dtype))
        tl.store(g_at, g, mask=mask)
    # g_t = ∇f_t(θ_{t-1}), or -∇f_t(θ_{t-1}) to maximize
    if MAXIMIZE:
        g = -g
    # g_t <- g_t + λ θ_{t-1}
    return tl.where(weight_decay != 0, g + weight_decay * p, g)


@triton.jit
def _sgd(
    rows, row_of_block, hyperparameters, lr, grad_scale, found_inf, TYPE: tl.constexpr, LR_STRIDE: tl.constexpr,
    MOMENTUM: tl.constexpr, NESTEROV: tl.constexpr, FIRST_STEP: tl.constexpr, MAXIMIZE: tl.constexpr,
):  # fmt: skip
    row, start, low, high, copy, values, lr = _block(
        rows, row_of_block, hyperparameters, lr, found_inf, 8, 4, LR_STRIDE
    )
    weight_decay, momentum, undamped = tl.load(values + 1), tl.load(values + 2), tl.load(values + 3)
    for WHOLE in tl.static_range(2):
        if copy == WHOLE:
            mask = _mask(low, high, WHOLE)
            p_at = _elements(row, _PARAM, start, TYPE, WHOLE)
            g_at = _elements(row, _GRAD, start, TYPE, WHOLE)
            b_at = _elements(row, _STATE, start, TYPE, WHOLE)
            p, g = tl.load(p_at, mask=mask).to(lr.dtype), tl.load(g_at, mask=mask).to(lr.dtype)
            if MOMENTUM and not FIRST_STEP:
                b = tl.load(b_at, mask=mask).to(lr.dtype)
            g = _gradient(g, g_at, mask, p, grad_scale, weight_decay, MAXIMIZE)
            if MOMENTUM:
                # b_t = μ b_{t-1} + (1 - τ) g_t,  b_1 = g_1
                if FIRST_STEP:
                    b = tl.where(momentum != 0, g, 0.0)
                else:
                    b = tl.where(momentum != 0, momentum * b + undamped * g, b)
                tl.store(b_at, b, mask=mask)
                # g_t <- g_t + μ b_t  (Nesterov),  g_t <- b_t  (heavy ball)
                g = tl.where(momentum != 0, g + momentum * b if NESTEROV else b, g)
            # θ_t = θ_{t-1} - γ g_t
            tl.store(p_at, p - lr * g, mask=mask)


@triton.jit
def _rmsprop(
    rows, row_of_block, hyperparameters, lr, grad_scale, found_inf, TYPE: tl.constexpr, LR_STRIDE: tl.constexpr,
    CENTERED: tl.constexpr, MOMENTUM: tl.constexpr, MAXIMIZE: tl.constexpr,
):  # fmt: skip
    row, start, low, high, copy, values, lr = _block(
        rows, row_of_block, hyperparameters, lr, found_inf, 10, 6, LR_STRIDE
    )
    weight_decay, alpha, weight = tl.load(values + 1), tl.load(values + 2), tl.load(values + 3)
    eps, momentum = tl.load(values + 4), tl.load(values + 5)
    for WHOLE in tl.static_range(2):
        if copy == WHOLE:
            mask = _mask(low, high, WHOLE)
            p_at = _elements(row, _PARAM, start, TYPE, WHOLE)
            g_at = _elements(row, _GRAD, start, TYPE, WHOLE)
            v_at = _elements(row, _STATE, start, TYPE, WHOLE)
            m_at = _elements(row, _STATE + 1, start, TYPE, WHOLE)
            b_at = _elements(row, _STATE + 2, start, TYPE, WHOLE)
            p, g = tl.load(p_at, mask=mask).to(lr.dtype), tl.load(g_at, mask=mask).to(lr.dtype)
            v = tl.load(v_at, mask=mask).to(lr.dtype)
            if CENTERED:
                m = tl.load(m_at, mask=mask).to(lr.dtype)
            if MOMENTUM:
                b = tl.load(b_at, mask=mask).to(lr.dtype)
            g = _gradient(g, g_at, mask, p, grad_scale, weight_decay, MAXIMIZE)
            # v_t = α v_{t-1} + (1 - α) g_t²
            v = alpha * v + weight * g * g
            tl.store(v_at, v, mask=mask)
            if CENTERED:
                # m_t = α m_{t-1} + (1 - α) g_t
                m = _lerp(m, g, alpha, weight)
                tl.store(m_at, m, mask=mask)
                # max(v_t - m_t², 0), NaN kept
                v -= m * m
                v = tl.where(v < 0, 0.0, v)
            # g_t / (√v_t + ε)
            g = _divide(g, _sqrt(v) + eps)
            if MOMENTUM:
                # b_t = μ b_{t-1} + g_t / (√v_t + ε)
                b = tl.where(momentum != 0, momentum * b + g, b)
                tl.store(b_at, b, mask=mask)
                g = tl.where(momentum != 0, b, g)
            # θ_t = θ_{t-1} - γ b_t
            tl.store(p_at, p - lr * g, mask=mask)


@triton.jit
def _adam(
    rows, row_of_block, hyperparameters, lr, grad_scale, found_inf, TYPE: tl.constexpr, LR_STRIDE: tl.constexpr,
    AMSGRAD: tl.constexpr, DECOUPLED: tl.constexpr, MAXIMIZE: tl.constexpr,
):  # fmt: skip
    row, start, low, high, copy, values, lr = _block(
        rows, row_of_block, hyperparameters, lr, found_inf, 11, 9, LR_STRIDE
    )
    weight_decay, eps = tl.load(values + 1), tl.load(values + 2)
    beta1, weight1, log_beta1 = tl.load(values + 3), tl.load(values + 4), tl.load(values + 5)
    beta2, weight2, log_beta2 = tl.load(values + 6), tl.load(values + 7), tl.load(values + 8)
    t = tl.load(tl.load(row + _STATE + 3).to(tl.pointer_type(tl.float32))).to(lr.dtype)
    TERMS: tl.constexpr = 8 if lr.dtype == tl.float32 else 15
    for WHOLE in tl.static_range(2):
        if copy == WHOLE:
            mask = _mask(low, high, WHOLE)
            p_at = _elements(row, _PARAM, start, TYPE, WHOLE)
            g_at = _elements(row, _GRAD, start, TYPE, WHOLE)
            m_at = _elements(row, _STATE, start, TYPE, WHOLE)
            v_at = _elements(row, _STATE + 1, start, TYPE, WHOLE)
            max_at = _elements(row, _STATE + 2, start, TYPE, WHOLE)
            p, g = tl.load(p_at, mask=mask).to(lr.dtype), tl.load(g_at, mask=mask).to(lr.dtype)
            m, v = tl.load(m_at, mask=mask).to(lr.dtype), tl.load(v_at, mask=mask).to(lr.dtype)
            if AMSGRAD:
                v_max = tl.load(max_at, mask=mask).to(lr.dtype)
            g = _gradient(g, g_at, mask, p, grad_scale, 0.0 if DECOUPLED else weight_decay, MAXIMIZE)
            if DECOUPLED:
                # θ_{t-1} <- θ_{t-1} - γ λ θ_{t-1}
                p *= 1 - lr * weight_decay
            # m_t = β₁ m_{t-1} + (1 - β₁) g_t
            m = _lerp(m, g, beta1, weight1)
            tl.store(m_at, m, mask=mask)
            # v_t = β₂ v_{t-1} + (1 - β₂) g_t²
            v = beta2 * v + weight2 * g * g
            tl.store(v_at, v, mask=mask)
            if AMSGRAD:
                # v_max_t = max(v_max_{t-1}, v_t)
                v = tl.maximum(v_max, v, propagate_nan=tl.PropagateNan.ALL)
                tl.store(max_at, v, mask=mask)
            # √v̂_t + ε,  v̂_t = v_t / (1 - β₂^t)
            root = _divide(_sqrt(v), _sqrt(_one_minus_power(log_beta2, t, TERMS))) + eps
            # θ_t = θ_{t-1} - γ m̂_t / (√v̂_t + ε),  m̂_t = m_t / (1 - β₁^t)
            step_size = _divide(lr, _one_minus_power(log_beta1, t, TERMS))
            tl.store(p_at, p - step_size * _divide(m, root), mask=mask)


_graph_sources: list[Tensor] = []
_captures = count(1)


def _launch_context(device: torch.device) -> LaunchContext:
    """Where a table may be used: on the stream that transfers it and, if captured, in that graph alone."""
    if device.type != "cuda":
        return device, 0, 0
    capture = next(_captures) if torch.cuda.is_current_stream_capturing() else 0
    return device, torch.cuda.current_stream(device).cuda_stream, capture


def _upload(table: Tensor, context: LaunchContext) -> Tensor:
    if context[0].type != "cuda":
        return table
    pinned = table.pin_memory()  # torch's host allocator keeps it until the transfer is done
    if context[2]:
        _graph_sources.append(pinned)  # each replay of the graph transfers it again
    return pinned.to(context[0], non_blocking=True)


@lru_cache(maxsize=64)
def _layout(sizes: tuple[int, ...], replicas: int, context: LaunchContext) -> tuple[Tensor, Tensor]:
    """`row_of_block`, and on the host the columns of `rows` that sizes settle."""
    with torch.device("cpu"):
        slices = torch.tensor(sizes).repeat_interleave(replicas) // replicas
        replica = torch.arange(replicas).repeat(len(sizes))
        begin, end = replica * slices, (replica + 1) * slices
        first = begin // _BLOCK.value
        blocks = torch.where(slices > 0, (end - 1) // _BLOCK.value + 1 - first, 0)
        shift = first - (blocks.cumsum(0) - blocks)
        row_of_block = torch.arange(len(slices), dtype=torch.int32).repeat_interleave(blocks)
    return _upload(row_of_block, context), torch.stack([shift, begin, end, replica], 1)


@lru_cache(maxsize=64)
def _rows(addresses: tuple[int, ...], sizes: tuple[int, ...], replicas: int, context: LaunchContext) -> Tensor:
    """`rows`, from the addresses list by list."""
    columns = torch.tensor(addresses, device="cpu").view(-1, len(sizes)).T
    aligned = (columns[:, :5] % 16 == 0).all(1, keepdim=True)  # the sixth list holds steps
    columns = torch.cat([aligned, columns], 1).repeat_interleave(replicas, 0)
    return _upload(torch.cat([_layout(sizes, replicas, context)[1], columns], 1), context)


@lru_cache(maxsize=64)
def _values(hyperparameters: tuple[tuple[float, ...], ...], dtype: torch.dtype, context: LaunchContext) -> Tensor:
    return _upload(torch.tensor(hyperparameters, dtype=dtype, device="cpu").T.contiguous(), context)


def _launch(
    kernel: Any,
    lists: Sequence[Tensors],
    lr: Floats | Tensor,
    hyperparameters: Sequence[Floats],
    replicas: int,
    grad_scale: Tensor | None,
    found_inf: Tensor | None,
    **flags: bool,
) -> None:
    """Run the kernel over the lists, ordered as its columns; hyperparameters come without γ, ordered as its values."""
    params, grads, *states = lists
    sizes = tuple([p.numel() for p in params])
    if not sum(sizes):
        return
    device, dtype = params[0].device, params[0].dtype
    math_dtype = torch.float64 if dtype == torch.float64 else torch.float32
    addresses = [[t.data_ptr() for t in tensors] or [0] * len(params) for tensors in lists]
    in_table = [0.0] * replicas if isinstance(lr, Tensor) else lr
    with torch.cuda.device_of(params[0]):
        context = _launch_context(device)
        row_of_block, _ = _layout(sizes, replicas, context)
        kernel[(len(row_of_block),)](
            _rows(tuple(chain.from_iterable(addresses)), sizes, replicas, context),
            row_of_block,
            _values(tuple([tuple(column) for column in (in_table, *hyperparameters)]), math_dtype, context),
            lr if isinstance(lr, Tensor) else None,
            grad_scale,
            found_inf,
            TYPE=_TYPES[dtype],
            LR_STRIDE=int(isinstance(lr, Tensor) and lr.numel() > 1),
            **flags,
            num_warps=8,
            enable_fp_fusion=False,  # a * b + c rounds the same in both copies of the code
        )
    increment_version([t for tensors in (params, *states, grads if grad_scale is not None else ()) for t in tensors])


def sgd_(
    params: Tensors,
    grads: Tensors,
    momentum_buffers: Tensors,
    *,
    replicas: int,
    lr: Floats | Tensor,
    momentum: Floats,
    dampening: float,
    weight_decay: Floats,
    nesterov: bool,
    maximize: bool,
    first_step: bool,
    grad_scale: Tensor | None,
    found_inf: Tensor | None,
) -> None:
    """Take the step of `sgd.sgd_update` in place; on the first step the buffers b are only written.

    A replica whose momentum is 0 does not use b, which stays as it is; on the first step it is set to 0.
    """
    hyperparameters = [weight_decay, momentum, [1 - dampening] * replicas]
    flags = {"MOMENTUM": len(momentum_buffers) > 0, "NESTEROV": nesterov, "FIRST_STEP": first_step}
    lists = [params, grads, momentum_buffers]
    _launch(_sgd, lists, lr, hyperparameters, replicas, grad_scale, found_inf, MAXIMIZE=maximize, **flags)


def rmsprop_(
    params: Tensors,
    grads: Tensors,
    square_avgs: Tensors,
    grad_avgs: Tensors,
    momentum_buffers: Tensors,
    *,
    replicas: int,
    lr: Floats | Tensor,
    alpha: Floats,
    eps: Floats,
    weight_decay: Floats,
    momentum: Floats,
    maximize: bool,
    grad_scale: Tensor | None,
    found_inf: Tensor | None,
) -> None:
    """Take the step of `rmsprop.rmsprop_update` in place; given `grad_avgs` it is centered.

    A replica whose momentum is 0 does not use b, which stays as it is.
    """
    hyperparameters = [weight_decay, alpha, [1 - a for a in alpha], eps, momentum]
    flags = {"CENTERED": len(grad_avgs) > 0, "MOMENTUM": len(momentum_buffers) > 0, "MAXIMIZE": maximize}
    lists = [params, grads, square_avgs, grad_avgs, momentum_buffers]
    _launch(_rmsprop, lists, lr, hyperparameters, replicas, grad_scale, found_inf, **flags)


def adam_(
    params: Tensors,
    grads: Tensors,
    exp_avgs: Tensors,
    exp_avg_sqs: Tensors,
    max_exp_avg_sqs: Tensors,
    steps: Tensors,
    *,
    replicas: int,
    lr: Floats | Tensor,
    beta1: Floats,
    beta2: Floats,
    eps: Floats,
    weight_decay: Floats,
    maximize: bool,
    decoupled_weight_decay: bool,
    grad_scale: Tensor | None,
    found_inf: Tensor | None,
) -> None:
    """Take the step of `adam.adam_update` in place; given `max_exp_avg_sqs` it is AMSGrad.

    `steps` holds t of each parameter, a 0-dim float32 tensor on the device, counted from 1; it is only read.
    """
    hyperparameters = [weight_decay, eps]
    for betas in (beta1, beta2):
        # ln 0 is -inf, as which e^x = 0 all the same
        logs = [math.log(beta) if beta > 0 else -math.inf for beta in betas]
        hyperparameters += [betas, [1 - beta for beta in betas], logs]
    flags = {"AMSGRAD": len(max_exp_avg_sqs) > 0, "DECOUPLED": decoupled_weight_decay, "MAXIMIZE": maximize}
    lists = [params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, steps]
    _launch(_adam, lists, lr, hyperparameters, replicas, grad_scale, found_inf, **flags)
