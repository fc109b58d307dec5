"""How often what a sweep says of its arms is wrong, and how often it is right: simulated, with a fixed generator.

    python benchmarks/decisions.py [--sweeps 2000]

Values are normal where nothing else is said; s is the standard deviation of the difference of two arms over seeds.
Takes a few minutes on 2 cores; the figures are the same anywhere.
"""

import argparse
import itertools
import math
import time
from collections.abc import Callable, Hashable
from importlib.metadata import version

import numpy as np
from scipy.special import stdtr, stdtrit

from bakeoff.stats import compare_arms, main_effect, max_t_test

LEVEL = 0.95
ALPHA = 1 - LEVEL + 1e-12  # 0.95 and rounding
ARMS = 26
VALIDATION_EXAMPLES = 360  # the demo's
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
LAWS: dict[str, Draw] = {
    "normal": lambda rng, shape: np.asarray(rng.normal(size=shape) / math.sqrt(2)),
    "heavy tails (t, 3 df)": lambda rng, shape: np.asarray(rng.standard_t(3, size=shape)),
    "skewed (exponential)": lambda rng, shape: np.asarray(rng.exponential(size=shape)),
    "accuracy on 360 examples": lambda rng, shape: np.asarray(
        rng.binomial(VALIDATION_EXAMPLES, 0.97, size=shape) / VALIDATION_EXAMPLES
    ),
}


def pair_differences(arms: np.ndarray) -> np.ndarray:
    """(n, A) values to (n, A (A-1) / 2) differences, in the order of `itertools.combinations`."""
    first, second = np.triu_indices(arms.shape[1], 1)
    return np.asarray(arms[:, first] - arms[:, second])


def t_p_values(differences: np.ndarray) -> np.ndarray:
    """Of paired t tests along the first axis; as `bakeoff.stats.paired_t_test`, for many at once."""
    n = len(differences)
    mean, s = differences.mean(axis=0), differences.std(axis=0, ddof=1)
    alike = s < 1e-3 * np.abs(mean)
    p = 2 * stdtr(n - 1, -np.abs(mean) * math.sqrt(n) / np.where(s > 0, s, 1))
    return np.where(alike, 2.0 ** (1 - n), np.where(mean == 0, 1, p))


def decided(arms: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(n, A) values to (A (A-1) / 2): which pairs `compare_arms` calls different; the same rules, on arrays.

    Below 8 seeds Holm is Bonferroni here: enough to see whether a sweep of equal arms has any false decision, and a
    lower bound of power.
    """
    differences = pair_differences(arms)
    if len(arms) >= 8:
        alone, corrected = max_t_test(differences, generator=generator)
    else:
        alone = t_p_values(differences)
        corrected = alone * len(alone)
    with_leader = (np.array(np.triu_indices(arms.shape[1], 1)) == arms.mean(axis=0).argmax()).any(axis=0)
    best = alone[with_leader].max() <= ALPHA  # the leader is the best: `bakeoff.stats.leader`
    return np.asarray((corrected <= ALPHA) | (with_leader & best))


def family_wise_rate(n: int, draw: Draw, sweeps: int, arms: int = ARMS, seed: int = 0) -> float:
    """Share of sweeps of equal arms that call any arm better or worse than another."""
    rng = np.random.default_rng(seed)
    return float(np.mean([decided(draw(rng, (n, arms)), rng).any() for _ in range(sweeps)]))


def uncorrected_rates(n: int, draw: Draw, sweeps: int, seed: int = 0) -> tuple[float, float]:
    """The same of 25 paired t tests, each for itself: against an arm named beforehand; against the leader."""
    rng = np.random.default_rng(seed)
    errors = np.zeros(2)
    for _ in range(sweeps):
        arms = draw(rng, (n, ARMS))
        for place, reference in enumerate((0, arms.mean(axis=0).argmax())):
            others = np.delete(arms, reference, axis=1)
            errors[place] += t_p_values(arms[:, [reference]] - others).min() <= 1 - LEVEL
    return float(errors[0] / sweeps), float(errors[1] / sweeps)


def power(n: int, ahead: float, sweeps: int, seed: int = 0) -> tuple[float, float]:
    """One of 26 arms ahead by so many s: share of sweeps that call it better than all others, and false decisions."""
    rng = np.random.default_rng(seed)
    right = wrong = 0
    for _ in range(sweeps):
        arms = LAWS["normal"](rng, (n, ARMS))
        arms[:, 0] += ahead
        found = decided(arms, rng)
        right += bool(found[: ARMS - 1].all() and arms.mean(axis=0).argmax() == 0)  # the pairs of the first arm
        wrong += bool(found[ARMS - 1 :].any())
    return right / sweeps, wrong / sweeps


def arms_coverage(n: int, sweeps: int, seed: int = 0) -> float:
    """Share of sweeps of 6 unequal arms in which all 15 simultaneous intervals hold the true differences."""
    rng = np.random.default_rng(seed)
    means = np.array([0, 0, 0.5, 1, 2, 4])
    held = 0
    for _ in range(sweeps):
        values = means + LAWS["normal"](rng, (n, len(means))) * np.array([0.5, 1, 1, 1, 2, 3])  # of unequal spread
        found = compare_arms({a: dict(enumerate(column.tolist())) for a, column in enumerate(values.T)}, generator=rng)
        pairs = ((found.comparison(a, b), means[a] - means[b]) for a, b in itertools.combinations(range(len(means)), 2))
        held += all(_holds(pair.low, pair.high, truth) for pair, truth in pairs)
    return held / sweeps


def main_effect_coverage(
    n: int, correlation: float, interaction: float, sweeps: int, missing: float = 0.0, seed: int = 0
) -> tuple[float, float, float]:
    """3 losses in 9 settings: how often intervals hold: of one difference, of all three, and of runs pooled.

    A share `correlation` of the noise of a loss is common to its runs of one seed. `interaction`: the spread of what a
    loss gains in one setting. `missing`: share of runs that are not there.
    """
    rng = np.random.default_rng(seed)
    one, together, pooled = [], [], []
    for _ in range(sweeps):
        truth, values = _losses_in_settings(rng, n, correlation, interaction, missing)
        found = main_effect(values, 0, generator=rng)
        held = []
        for (a, b), contrast in found.contrasts.items():
            settings = [setting[0] for setting in contrast.settings]
            true = float(np.mean([truth[a, setting] - truth[b, setting] for setting in settings]))
            pair = found.standings.comparison(a, b)
            alone = pair.difference
            one.append(alone is None or _holds(alone.low, alone.high, true))
            held.append(_holds(pair.low, pair.high, true))
            runs = [difference for by_seed in contrast.by_setting.values() for difference in by_seed.values()]
            pooled.append(_pooled_holds(runs, true))
        together.append(all(held))
    return float(np.mean(one)), float(np.mean(together)), float(np.mean(pooled))


Table = dict[tuple[Hashable, Hashable], float]
Runs = dict[tuple[int, int], dict[int, float]]


def _losses_in_settings(
    rng: np.random.Generator, n: int, correlation: float, interaction: float, missing: float
) -> tuple[Table, Runs]:
    """(loss, setting) -> true value, and -> seed -> value."""
    truth = rng.normal(size=(3, 1)) + interaction * rng.normal(size=(3, 9))
    of_loss, of_run = rng.normal(size=(n, 3, 1)), rng.normal(size=(n, 3, 9))
    noise = math.sqrt(correlation) * of_loss + math.sqrt(1 - correlation) * of_run
    runs = truth + noise + rng.normal(size=(n, 1, 1))  # what a seed does to all runs cancels
    there = rng.random(runs.shape) >= missing
    cells = list(itertools.product(range(3), range(9)))
    values = {(a, r): {s: float(runs[s, a, r]) for s in range(n) if there[s, a, r]} for a, r in cells}
    return {cell: float(truth[cell]) for cell in cells}, values


def _holds(low: float | None, high: float | None, truth: float) -> bool:
    return low is None or high is None or low <= truth <= high


def _pooled_holds(differences: list[float], truth: float) -> bool:
    n = len(differences)
    half = stdtrit(n - 1, (1 + LEVEL) / 2) * np.std(differences, ddof=1) / math.sqrt(n)
    return bool(abs(np.mean(differences) - truth) <= half)


def main() -> None:
    from hardware import describe  # with torch, which the tests that import this file do without

    parser = argparse.ArgumentParser(description="Rates of false and of true decisions, simulated.")
    parser.add_argument("--sweeps", type=int, default=2000)
    sweeps = parser.parse_args().sweeps
    start = time.perf_counter()
    print(f"{describe()}\nNumPy {version('numpy')}, SciPy {version('scipy')}; {sweeps} sweeps, generator 0")
    print_false(sweeps)
    print_power(sweeps // 4)
    print_coverage(sweeps)
    print(f"\n{time.perf_counter() - start:.0f} s")


def print_false(sweeps: int) -> None:
    print('\nEqual arms: share of sweeps with any false "better" or "worse", at 5%')
    print(f"{'':34}arms  seeds" + "".join(f"{name:>26}" for name in LAWS))
    for name, sizes in (("corrected: Holm over paired t", (3, 5, 7)), ("corrected: max-t by sign flips", (8, 10))):
        for n in sizes:
            for arms in (ARMS, 3, 2) if n in {3, 10} else (ARMS,):
                rates = [family_wise_rate(n, law, sweeps, arms) for law in LAWS.values()]
                print(f"{name:34}{arms:4}{n:7}" + "".join(f"{rate:26.1%}" for rate in rates))
    pairs = [uncorrected_rates(10, law, sweeps) for law in LAWS.values()]
    for name, place in (("uncorrected, against one arm", 0), ("uncorrected, against the leader", 1)):
        print(f"{name:34}{ARMS:4}{10:7}" + "".join(f"{pair[place]:26.1%}" for pair in pairs))


def print_power(sweeps: int) -> None:
    print(
        f"\n1 of {ARMS} arms ahead, {sweeps} sweeps: called better than all others (false decisions among the others)"
    )
    print("seeds" + "".join(f"{f'by {ahead} s':>16}" for ahead in (1, 2, 3)))
    for n in (3, 5, 8, 10, 15):
        cells = (power(n, ahead, sweeps) for ahead in (1, 2, 3))
        print(f"{n:5}" + "".join(f"{f'{right:.1%} ({wrong:.1%})':>16}" for right, wrong in cells))


def print_coverage(sweeps: int) -> None:
    print("\nSimultaneous 95% intervals of the 15 pairs of 6 unequal arms: share of sweeps in which all hold")
    print("".join(f"  {n} seeds {arms_coverage(n, sweeps):.1%}" for n in (3, 5, 10)))
    print("\nMain effect of 3 losses in 9 settings: share in which 95% intervals hold the true difference")
    print("seeds  correlation  interaction  missing   one difference  all three  runs pooled as if independent")
    for n in (3, 5, 10):
        for correlation, interaction, missing in ((0, 0, 0), (0.3, 0.5, 0), (0.6, 0, 0), (0.6, 1, 0), (0.6, 1, 0.05)):
            one, together, pooled = main_effect_coverage(n, correlation, interaction, sweeps, missing)
            print(f"{n:5}{correlation:13}{interaction:13}{missing:9.0%}{one:17.1%}{together:11.1%}{pooled:13.1%}")


if __name__ == "__main__":
    main()
