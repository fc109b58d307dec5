"""The identity of a run."""

from bakeoff.runs import identity_of


def test_identity_depends_on_content_and_seed_but_not_on_order():
    base = identity_of({"loss": {"a": 1, "b": 2}}, 0)
    assert base == identity_of({"loss": {"b": 2, "a": 1}}, 0)
    assert len({base, identity_of({"loss": {"a": 1, "b": 3}}, 0), identity_of({"loss": {"a": 1, "b": 2}}, 1)}) == 3
