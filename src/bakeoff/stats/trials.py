"""What tuning brings: the best of k trials, how much it depends on the learning rate, and on the number of trials.

    expected best, with replacement     Σ_i x_(i) ((i/n)^k - ((i-1)/n)^k)             x_(1) <= ... <= x_(n)
    expected best, without              Σ_i x_(i) C(i-1, k-1) / C(n, k)               unbiased
    learning-rate sensitivity           mean_η min(ℓ(η), ℓ_0) - min_η min(ℓ(η), ℓ_0)  ℓ_0 the loss before training
    tunability                          Σ_t ω_t L_t,  Σ ω_t = 1                       L_t the best of t trials

Dodge et al., "Show Your Work", EMNLP 2019; without replacement Tang et al., "Showing Your Work Doesn't Always Work",
ACL 2020. Wortsman et al., "Small-scale Proxies for Large-scale Transformer Training Instabilities" (2023). Sivaprasad
et al., "Optimizer Benchmarking Needs to Account for Hyperparameter Tuning", ICML 2020.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence


def expected_best(values: Iterable[float], *, replacement: bool = False) -> list[float]:
    """The expected largest of k of the trials, for k = 1 .. n.

    For trials drawn independently, as random search draws them. Of a grid, or of a search that learns from trials, the
    points are no independent draws: there it is an approximation.

    >>> [round(best, 6) for best in expected_best([0.1, 0.4, 0.7, 0.9, 0.95], replacement=True)]
    [0.61, 0.786, 0.8596, 0.89544, 0.914896]
    >>> [round(best, 6) for best in expected_best([0.1, 0.4, 0.7, 0.9, 0.95])]
    [0.61, 0.83, 0.91, 0.94, 0.95]

    Args:
        values: one a trial, in any order; larger is better.
        replacement: whether a trial may be drawn again: biased downwards, but the form of the first paper.

    Raises:
        ValueError: a value is not finite.

    """
    xs = sorted(float(x) for x in values)
    if not all(map(math.isfinite, xs)):
        raise ValueError("values must be finite: give a diverged trial the worst value that the metric can have")
    n = len(xs)

    def weight(i: int, k: int) -> float:
        if replacement:
            return (i / n) ** k - ((i - 1) / n) ** k
        return math.comb(i - 1, k - 1) / math.comb(n, k)

    return [math.fsum(x * weight(i, k) for i, x in enumerate(xs, start=1)) for k in range(1, n + 1)]


def learning_rate_sensitivity(losses: Iterable[float | None], initial_loss: float) -> float:
    """How much loss a rate costs on average, beside the best: 0 where every rate is as good.

    The rates are those of a grid in equal steps of their logarithm, the same for all that is compared. A rate that
    diverged (None, or a loss that is not finite), or ended above the initial loss, counts as the initial loss.

    >>> round(learning_rate_sensitivity([0.5, 0.2, 0.3, None], initial_loss=2.3), 3)
    0.625

    Raises:
        ValueError: there are no losses, or the initial one is not finite.

    """
    if not math.isfinite(initial_loss):
        raise ValueError(f"initial_loss must be finite, got {initial_loss}")
    finite = [initial_loss if x is None or not math.isfinite(x) else min(float(x), initial_loss) for x in losses]
    if not finite:
        raise ValueError("losses must hold at least 1 number, got none")
    return math.fsum(finite) / len(finite) - min(finite)


def tunability(incumbents: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """The best value after t trials, t = 1 .. T, in a weighted mean: high where few trials already do well.

    >>> round(tunability([0.90, 0.94, 0.95]), 4)  # weights 3, 2, 1: early trials count most
    0.9217
    >>> tunability(expected_best([0.95, 0.90, 0.94]), weights=[0, 0, 1])  # the best at last
    0.95

    Args:
        incumbents: the best of the first t trials; `expected_best` where their order means nothing.
        weights: ω_t up to a factor; by default T - t + 1, falling in equal steps.

    Raises:
        ValueError: there are no values, the weights are not as many or negative, or the best of more trials is less.

    """
    chosen = list(range(len(incumbents), 0, -1)) if weights is None else weights
    if not incumbents or len(chosen) != len(incumbents):
        raise ValueError(f"there must be a weight for each number of trials, got {len(chosen)} of {len(incumbents)}")
    if not all(weight >= 0 for weight in chosen) or not sum(chosen) > 0:
        raise ValueError("weights must be >= 0, and one above 0")
    if any(later < earlier - 1e-12 for earlier, later in itertools.pairwise(incumbents)):
        raise ValueError("incumbents must not fall: each is the best of the trials so far, larger is better")
    total = math.fsum(weight * value for weight, value in zip(chosen, incumbents, strict=True))
    return total / math.fsum(chosen)
