"""Budgets in four units, and validations spread evenly over each."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import UserError
from bakeoff.train.budget import Budget, BudgetClock, budget_from, samples_seen
from bakeoff.train.settings import BudgetSettings

EMPTY = {"epochs": None, "steps": None, "samples": None, "seconds": None, "validations": 20}


def steps(batch, n=1000, **budget):
    return budget_from(
        BudgetSettings(**{**EMPTY, **budget}), n_train=n, steps_per_epoch=math.ceil(n / batch), batch_size=batch
    ).steps


def test_units():
    assert steps(100, steps=7) == 7
    assert steps(100, epochs=3) == 30
    assert steps(300, epochs=2) == 8  # the last batch of an epoch is short
    assert steps(1000, epochs=5) == 5  # full batch: a step an epoch
    assert steps(1, epochs=1) == 1000  # one example a step
    assert steps(100, epochs=0.25) == 3
    assert steps(100, samples=250) == 3
    assert steps(100, samples=2000) == 20
    assert steps(300, samples=1000) == 4
    assert steps(300, samples=1001) == 5


@given(st.integers(1, 500), st.integers(1, 64), st.integers(1, 5000))
def test_a_budget_of_samples_ends_with_the_first_step_that_reaches_it(n, batch, samples):
    per_epoch = math.ceil(n / batch)
    given = {"n_train": n, "steps_per_epoch": per_epoch, "batch_size": batch}
    needed = budget_from(BudgetSettings(**{**EMPTY, "samples": samples}), **given).steps
    assert samples_seen(needed, n, per_epoch, batch) >= samples
    assert samples_seen(needed - 1, n, per_epoch, batch) < samples


@pytest.mark.parametrize(
    ("budget", "count"),
    [({"epochs": 1}, 1), ({"epochs": 20}, 20), ({"epochs": 500}, 100), ({"epochs": 0.1}, 1), ({"steps": 600}, 20)],
)
def test_default_validations(budget, count):
    settings = BudgetSettings(**{**EMPTY, "validations": None, **budget})
    made = budget_from(settings, n_train=1000, steps_per_epoch=10, batch_size=100)
    assert made.validations == count


def test_samples_seen_counts_short_batches():
    assert samples_seen(4, 1000, 4, 300) == 1000
    assert samples_seen(5, 1000, 4, 300) == 1300
    assert samples_seen(7, 1000, 1, "full") == 7000
    assert samples_seen(7, None, None, 10) == 70


@given(st.integers(1, 3000), st.integers(1, 50))
def test_validations_are_even_and_end_with_the_budget(total, validations):
    clock = BudgetClock(Budget(steps=total, seconds=None, validations=validations))
    due = [step for step in range(1, total + 1) if clock.validation_due(step)]
    assert due[-1] == total
    assert len(due) == min(total, validations)
    gaps = [b - a for a, b in zip([0, *due], due, strict=False)]
    assert max(gaps) - min(gaps) <= 1


def test_seconds(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    settings = BudgetSettings(**{**EMPTY, "seconds": 10, "validations": 4})
    clock = BudgetClock(budget_from(settings, n_train=None, steps_per_epoch=None, batch_size=8))
    clock.start()
    seen = []
    for tenth in range(1, 121):
        now[0] = 100 + tenth / 10
        if clock.validation_due(tenth):
            seen.append(round(now[0] - 100, 1))
    assert seen == [2.5, 5.0, 7.5, 10.0]
    assert clock.fraction_done(1) == 1.0


def test_epochs_of_unknown_length_are_refused():
    with pytest.raises(UserError, match=r"budget.epochs needs data of known length; give budget.steps"):
        budget_from(BudgetSettings(**{**EMPTY, "epochs": 2}), n_train=None, steps_per_epoch=None, batch_size=8)


def test_a_schedule_follows_the_budget():
    factor = BudgetClock(Budget(steps=10, seconds=None, validations=1)).lr_factor(lambda p: 1 - p)
    assert [round(factor(step), 2) for step in range(11)] == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
