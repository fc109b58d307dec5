"""The mutations of `mutations.py`, which takes half an hour, are those of the code as it is."""

from . import mutations


def test_every_mutation_applies_to_the_source(capsys):
    assert mutations.check() == 0, capsys.readouterr().out
