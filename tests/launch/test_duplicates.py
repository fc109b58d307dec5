"""What is said of runs that are asked for twice."""

from bakeoff.launch.duplicates import describe_duplicates
from bakeoff.workers import Job

FAST = ("trainer=cpu", "trainer.threads=1", "budget.steps=2", "budget.validations=1", "checkpoint_every=0", "workers=1")


def jobs(*overrides):
    return [Job(number, tuple(words.split())) for number, words in enumerate(overrides)]


def test_what_sets_the_two_apart_is_named():
    asked = jobs("a=1 b=full", "a=1 b=2000", "a=2 b=full", "a=2 b=2000")
    said = describe_duplicates(asked, {1: 0, 3: 2})
    assert said == "4 runs asked for, 2 differ: b=2000 is the same run as b=full"


def test_the_very_same_words():
    assert describe_duplicates(jobs("a=1", "a=1"), {1: 0}) == "2 runs asked for, 1 differ: a=1 is the same run as a=1"


def test_nothing_is_said_where_all_differ():
    assert describe_duplicates(jobs("a=1", "a=2"), {}) is None


def test_many_are_counted():
    asked = jobs(*(f"b={number}" for number in range(9)))
    said = describe_duplicates(asked, dict.fromkeys(range(1, 9), 0))
    assert said is not None
    assert said.endswith("b=5 is the same run as b=0; and 3 more")


def test_batches_of_all_samples_or_more_are_one_arm(trained):
    """Digits has 1077 training samples."""
    result = trained("-m", "batch_size=full,2000,1077,1076", *FAST)
    assert (result.status, result.runs) == (0, {"batch_size=full/seed=0", "batch_size=1076/seed=0"})
    same = "batch_size=2000 is the same run as batch_size=full; batch_size=1077 is the same run as batch_size=full"
    assert f"4 runs asked for, 2 differ: {same}\n" in result.out
    again = trained("batch_size=4000", *FAST)
    assert (again.status, again.runs) == (0, set())
    assert "already finished, not trained again" in again.out
