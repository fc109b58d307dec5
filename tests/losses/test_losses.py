"""One table over every public loss, each against an independent reference, and what they have in common."""

import copy
import inspect
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.special
import sklearn.metrics
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from bakeoff import losses

CONF = Path(__file__).parents[2] / "conf" / "loss"
N, C, D = 12, 5, 3

# --- References: NumPy, SciPy, scikit-learn or another part of torch, in float64 ----------------------------


def numpy_cross_entropy(logits, targets, label_smoothing=0.0):
    log_p = logits - scipy.special.logsumexp(logits, axis=1, keepdims=True)
    q = (1 - label_smoothing) * np.eye(logits.shape[1])[targets] + label_smoothing / logits.shape[1]
    return -(q * log_p).sum(axis=1)


def sklearn_cross_entropy(logits, targets):
    p, labels = scipy.special.softmax(logits, axis=1), np.arange(logits.shape[1])
    return [sklearn.metrics.log_loss([y], [row], labels=labels) for row, y in zip(p, targets, strict=True)]


def torch_one_hot_mse(logits, targets):
    one_hot = F.one_hot(torch.tensor(targets), logits.shape[1]).double()
    return F.mse_loss(torch.tensor(logits), one_hot, reduction="none").mean(dim=1)


def numpy_rescaled_mse(logits, targets, k, M):
    others = [[f for c, f in enumerate(row) if c != y] for row, y in zip(logits, targets, strict=True)]
    true = logits[np.arange(len(targets)), targets]
    return (k * (true - M) ** 2 + np.square(others).sum(axis=1)) / logits.shape[1]


def sklearn_hinge(logits, targets):
    labels = np.arange(logits.shape[1])
    return [sklearn.metrics.hinge_loss([y], [row], labels=labels) for row, y in zip(logits, targets, strict=True)]


def numpy_hinge(logits, targets, over_classes, margin=1.0, power=1):
    return [
        over_classes([max(0.0, margin + f - row[y]) ** power for c, f in enumerate(row) if c != y])
        for row, y in zip(logits, targets, strict=True)
    ]


def torch_weston_watkins(logits, targets, margin=1.0, p=1):
    inputs = torch.tensor(logits), torch.tensor(targets)
    return F.multi_margin_loss(*inputs, margin=margin, p=p, reduction="none") * logits.shape[1]


def sklearn_over_outputs(metric):
    return lambda predictions, targets: metric(targets.T, predictions.T, multioutput="raw_values")


def scipy_huber(predictions, targets, delta=1.0):
    return scipy.special.huber(delta, predictions - targets).mean(axis=1)


# --- The table ----------------------------------------------------------------------------------------------


class Case(NamedTuple):
    function: Callable[..., Tensor]
    module: type[nn.Module]
    reference: Callable[..., Any]
    options: Mapping[str, Any] = MappingProxyType({})
    real_targets: bool = False

    def inputs(self, dtype=torch.float64, seed=0) -> tuple[Tensor, Tensor]:
        """Output and target. Residuals and margins fall on both sides of each kink of the losses."""
        generator = torch.Generator().manual_seed(seed)
        n_out = D if self.real_targets else C
        output = (1.5 * torch.randn(N, n_out, generator=generator, dtype=torch.float64)).to(dtype)
        if self.real_targets:
            return output, torch.randn(N, n_out, generator=generator, dtype=torch.float64).to(dtype)
        return output, torch.randint(n_out, (N,), generator=generator)


ENTROPY = (losses.cross_entropy, losses.CrossEntropy)
SQUARED = (losses.mse, losses.MSE)
HINGE = (losses.hinge, losses.Hinge)
SQUARED_HINGE = (losses.squared_hinge, losses.SquaredHinge)
ABSOLUTE = (losses.absolute_error, losses.AbsoluteError)
HUBER = (losses.huber, losses.Huber)
WW = {"variant": "weston_watkins"}

CASES = {
    "cross_entropy": Case(*ENTROPY, sklearn_cross_entropy),
    "cross_entropy smoothed": Case(*ENTROPY, lambda f, y: numpy_cross_entropy(f, y, 0.2), {"label_smoothing": 0.2}),
    "mse of classes": Case(*SQUARED, torch_one_hot_mse),
    "mse of classes, k": Case(*SQUARED, lambda f, y: numpy_rescaled_mse(f, y, k=15, M=1), {"k": 15.0}),
    "mse of classes, k, M": Case(*SQUARED, lambda f, y: numpy_rescaled_mse(f, y, k=0.5, M=30), {"k": 0.5, "M": 30.0}),
    "mse": Case(*SQUARED, sklearn_over_outputs(sklearn.metrics.mean_squared_error), real_targets=True),
    "hinge": Case(*HINGE, sklearn_hinge),
    "hinge, margin": Case(*HINGE, lambda f, y: numpy_hinge(f, y, max, margin=3), {"margin": 3.0}),
    "hinge WW": Case(*HINGE, torch_weston_watkins, WW),
    "hinge WW, margin": Case(*HINGE, lambda f, y: numpy_hinge(f, y, sum, margin=2), WW | {"margin": 2.0}),
    "squared_hinge": Case(*SQUARED_HINGE, lambda f, y: numpy_hinge(f, y, max, power=2)),
    "squared_hinge, margin": Case(
        *SQUARED_HINGE, lambda f, y: numpy_hinge(f, y, max, margin=0.5, power=2), {"margin": 0.5}
    ),
    "squared_hinge WW": Case(*SQUARED_HINGE, lambda f, y: torch_weston_watkins(f, y, p=2), WW),
    "squared_hinge WW, margin": Case(
        *SQUARED_HINGE, lambda f, y: numpy_hinge(f, y, sum, margin=2, power=2), WW | {"margin": 2.0}
    ),
    "absolute_error": Case(*ABSOLUTE, sklearn_over_outputs(sklearn.metrics.mean_absolute_error), real_targets=True),
    "huber": Case(*HUBER, scipy_huber, real_targets=True),
    "huber, delta": Case(*HUBER, lambda f, t: scipy_huber(f, t, 0.3), {"delta": 0.3}, real_targets=True),
}

TASKS = {
    losses.CrossEntropy: "classification",
    losses.MSE: None,
    losses.Hinge: "classification",
    losses.SquaredHinge: "classification",
    losses.AbsoluteError: "regression",
    losses.Huber: "regression",
}

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
every_regression = pytest.mark.parametrize("function", [losses.mse, losses.absolute_error, losses.huber])
every_classification = pytest.mark.parametrize(
    "function", [losses.cross_entropy, losses.mse, losses.hinge, losses.squared_hinge]
)


def test_every_public_loss_has_a_case():
    named = {part.__name__ for case in CASES.values() for part in (case.function, case.module)}
    assert named == set(losses.__all__)


# --- The contract -------------------------------------------------------------------------------------------


@every_case
def test_agrees_with_an_independent_reference(case):
    for seed in range(20):
        output, target = case.inputs(seed=seed)
        expected = np.asarray(case.reference(output.numpy(), target.numpy()))
        np.testing.assert_allclose(case.function(output, target, **case.options), expected, rtol=1e-10, atol=1e-12)


@every_case
def test_the_module_is_the_function_with_its_options_fixed(case):
    output, target = case.inputs()
    module = case.module(**case.options)
    expected = case.function(output, target, **case.options)
    for loss in (module, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(loss(output, target), expected)
    assert not module.state_dict()


@every_case
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_returns_one_value_per_example_in_the_dtype_of_the_output(case, dtype):
    output, target = case.inputs(dtype)
    loss = case.function(output, target, **case.options)
    assert loss.shape == (N,)
    assert loss.dtype == dtype
    # bfloat16 keeps 8 bits, and a loss sums a few rounded terms
    rtol, atol = (0.05, 0.1) if dtype == torch.bfloat16 else (1e-5, 1e-5)
    exact = case.function(output.double(), target.double() if case.real_targets else target, **case.options)
    torch.testing.assert_close(loss.double(), exact, rtol=rtol, atol=atol)


@every_case
def test_gradient_agrees_with_finite_differences(case):
    output, target = case.inputs()
    assert torch.autograd.gradcheck(
        lambda output: case.function(output, target, **case.options), output.requires_grad_()
    )


@every_case
def test_an_example_does_not_depend_on_the_others(case):
    output, target = case.inputs()
    together = case.function(output, target, **case.options)
    alone = [case.function(output[i : i + 1], target[i : i + 1], **case.options) for i in range(N)]
    torch.testing.assert_close(torch.cat(alone), together)
    assert case.function(output[:0], target[:0], **case.options).shape == (0,)


@every_case
def test_vmap_over_replicas_agrees_with_a_loop(case):
    outputs, targets = map(torch.stack, zip(*(case.inputs(seed=seed) for seed in range(3)), strict=True))

    def mean_loss(output, target):
        return case.function(output, target, **case.options).mean()

    gradients, values = torch.func.vmap(torch.func.grad_and_value(mean_loss))(outputs, targets)
    for replica in range(3):
        gradient, value = torch.func.grad_and_value(mean_loss)(outputs[replica], targets[replica])
        torch.testing.assert_close(values[replica], value)
        torch.testing.assert_close(gradients[replica], gradient)


@every_case
def test_compiles_into_one_graph(case):
    output, target = case.inputs()
    # The eager backend traces as any other does, and needs no C++ compiler.
    compiled = torch.compile(case.module(**case.options), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(output, target), case.function(output, target, **case.options))
    torch.compiler.reset()


def test_task_says_what_a_loss_fits():
    assert {module: getattr(module, "task", "no attribute") for module in TASKS} == TASKS
    assert set(TASKS) == {case.module for case in CASES.values()}


@pytest.mark.parametrize("function", dict.fromkeys(case.function for case in CASES.values()), ids=lambda f: f.__name__)
def test_hyperparameters_are_keyword_only(function):
    _, _, *hyperparameters = inspect.signature(function).parameters.values()
    assert all(p.kind is p.KEYWORD_ONLY for p in hyperparameters)


# --- Single losses ------------------------------------------------------------------------------------------


def test_cross_entropy_stays_finite_at_extreme_logits():
    logits = torch.tensor([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0]], requires_grad=True)
    loss = losses.cross_entropy(logits, torch.tensor([0, 1]))
    assert loss.tolist() == [0.0, 2e4]
    loss.sum().backward()
    assert logits.grad.tolist() == [[0.0, 0.0, 0.0], [1.0, -1.0, 0.0]]


def test_cross_entropy_of_equal_logits_is_log_c():
    loss = losses.cross_entropy(torch.zeros(2, 7), torch.tensor([0, 6]), label_smoothing=0.3)
    torch.testing.assert_close(loss, torch.full((2,), 7.0).log())


def test_mse_of_classes_is_zero_at_m_times_the_one_hot_vector():
    targets = torch.arange(C)
    assert losses.mse(30 * torch.eye(C), targets, k=15, M=30).eq(0).all()
    assert losses.mse(1e4 * torch.eye(C), targets).tolist() == [pytest.approx((1e4 - 1) ** 2 / C)] * C


@pytest.mark.parametrize("function", [losses.hinge, losses.squared_hinge])
@pytest.mark.parametrize("variant", ["crammer_singer", "weston_watkins"])
def test_hinge_is_zero_exactly_where_the_true_class_leads_by_the_margin(function, variant):
    logits = torch.tensor([[5.0, 3.0, 3.0], [5.0, 3.5, 3.0]], requires_grad=True)
    loss = function(logits, torch.tensor([0, 0]), margin=2.0, variant=variant)
    assert (loss > 0).tolist() == [False, True]
    loss.sum().backward()
    assert logits.grad.ne(0).tolist() == [[False, False, False], [True, True, False]]


def test_tied_classes_get_equal_parts_of_the_gradient():
    logits = torch.zeros(1, 3, requires_grad=True)
    losses.hinge(logits, torch.tensor([1])).sum().backward()
    assert logits.grad.tolist() == [[0.5, -1.0, 0.5]]


def test_huber_turns_from_half_the_square_into_a_line_at_delta():
    residual = torch.tensor([0.5, 2.0, -10.0], requires_grad=True)
    loss = losses.huber(residual, torch.zeros(3), delta=2.0)
    assert loss.tolist() == [0.125, 2.0, 18.0]
    loss.sum().backward()
    assert residual.grad.tolist() == [0.5, 2.0, -2.0]


# --- Shapes that regression accepts -------------------------------------------------------------------------


@every_regression
@pytest.mark.parametrize("shapes", [((N,), (N, 1)), ((N, 1), (N,)), ((N, 1), (N, 1)), ((N,), (N,))], ids=str)
def test_a_single_output_may_have_a_trailing_axis_or_none(function, shapes):
    p, t = torch.randn(2, N, generator=torch.Generator().manual_seed(0))
    loss = function(p.reshape(shapes[0]), t.reshape(shapes[1]))
    assert loss.shape == (N,)
    assert torch.equal(loss, torch.cat([function(p[i : i + 1], t[i : i + 1]) for i in range(N)]))


@every_regression
def test_all_further_axes_are_averaged(function):
    p, t = torch.randn(2, N, 4, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(function(p, t), function(p.reshape(N, 8), t.reshape(N, 8)))


@every_regression
def test_double_targets_do_not_change_the_dtype_of_the_loss(function):
    p = torch.zeros(N, 1, requires_grad=True)
    loss = function(p, torch.ones(N, dtype=torch.float64))
    assert loss.dtype == torch.float32
    loss.sum().backward()


# --- Errors -------------------------------------------------------------------------------------------------


@every_regression
@pytest.mark.parametrize(
    "shapes",
    [((4, 3), (4,)), ((4,), (4, 3)), ((4, 1), (4, 3)), ((4,), (1,)), ((4, 2), (1, 2)), ((), ())],
    ids=str,
)
def test_regression_shapes_never_broadcast(function, shapes):
    predictions, targets = map(torch.zeros, shapes)
    with pytest.raises(ValueError, match=rf"got {re.escape(str(shapes[0]))} .* and {re.escape(str(shapes[1]))} "):
        function(predictions, targets)


@every_classification
@pytest.mark.parametrize("shapes", [((4, 3), (4, 1)), ((4, 3), (3,)), ((4,), (4,)), ((4, 3, 2), (4, 2))], ids=str)
def test_classification_shapes_never_broadcast(function, shapes):
    logits, targets = torch.zeros(shapes[0]), torch.zeros(shapes[1], dtype=torch.long)
    with pytest.raises(ValueError, match=rf"got {re.escape(str(shapes[0]))} .* and {re.escape(str(shapes[1]))} "):
        function(logits, targets)


@pytest.mark.parametrize("function", [losses.cross_entropy, losses.hinge, losses.squared_hinge])
def test_real_targets_are_no_classes(function):
    with pytest.raises(ValueError, match=r"\(4,\) torch.float32; for real targets choose a regression loss"):
        function(torch.zeros(4, 3), torch.zeros(4))


@pytest.mark.parametrize("options", [{"k": 15.0}, {"M": 30.0}], ids=str)
def test_real_targets_have_no_true_class_to_rescale(options):
    with pytest.raises(ValueError, match="k and M must be 1 for real targets"):
        losses.mse(torch.zeros(4), torch.zeros(4), **options)


@every_classification
@pytest.mark.parametrize("outside", [C, -1])
def test_class_outside_the_logits_is_an_error(function, outside):
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        function(torch.zeros(2, C), torch.tensor([0, outside]))


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (losses.CrossEntropy, {"label_smoothing": 1.5}, "label_smoothing must be in [0, 1), got 1.5"),
        (losses.CrossEntropy, {"label_smoothing": 1.0}, "label_smoothing must be in [0, 1), got 1.0"),
        (losses.CrossEntropy, {"label_smoothing": -0.1}, "label_smoothing must be in [0, 1), got -0.1"),
        (
            losses.CrossEntropy,
            {"label_smoothing": float("nan")},
            "label_smoothing must be in [0, 1), got nan",
        ),
        (losses.MSE, {"k": 0}, "k must be > 0 and finite, got 0"),
        (losses.MSE, {"M": float("nan")}, "M must be > 0 and finite, got nan"),
        (losses.Hinge, {"margin": 0.0}, "margin must be > 0 and finite, got 0.0"),
        (losses.SquaredHinge, {"margin": float("inf")}, "margin must be > 0 and finite, got inf"),
        (losses.Hinge, {"variant": "ww"}, "variant must be one of crammer_singer, weston_watkins, got ww"),
        (losses.Huber, {"delta": -1}, "delta must be > 0 and finite, got -1"),
    ],
    ids=str,
)
def test_hyperparameter_out_of_bounds_is_named_with_its_bound(module, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        module(**options)


# --- Around the losses --------------------------------------------------------------------------------------


def test_every_loss_has_a_config_that_states_its_defaults():
    every = {path.stem: instantiate(OmegaConf.load(path)) for path in CONF.glob("*.yaml")}
    built = {name: loss for name, loss in every.items() if not type(loss).__module__.startswith("torch.")}
    assert {type(loss) for loss in built.values()} == set(TASKS)
    for name, loss in built.items():
        assert hasattr(losses, name), f"conf/loss/{name}.yaml is not named after its function"
        parameters = inspect.signature(type(loss)).parameters
        stated = dict(OmegaConf.load(CONF / f"{name}.yaml"))
        del stated["_target_"]
        assert stated == {parameter: p.default for parameter, p in parameters.items() if p.kind is p.KEYWORD_ONLY}


def test_importing_the_losses_imports_torch_alone():
    command = "import sys, bakeoff.losses; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True).stdout.split()
    assert "torch" in loaded
    assert not {"lightning", "hydra", "omegaconf", "torchvision", "torchmetrics", "sklearn"} & set(loaded)
