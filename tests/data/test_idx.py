"""IDX files: what is written is read, and files that are damaged or of another type are named."""

import gzip

import numpy as np
import pytest

from bakeoff.data.idx import read_idx
from bakeoff.errors import UserError

from .samples import idx


@pytest.mark.parametrize("shape", [(7,), (5, 4), (3, 2, 6), (0, 4)], ids=str)
@pytest.mark.parametrize("packed", [False, True])
def test_an_array_is_read_as_it_was_written(tmp_path, shape, packed):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / ("a.gz" if packed else "a")
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    np.testing.assert_array_equal(read_idx(path), array)


def test_other_types_of_values_are_refused(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(idx(np.arange(5).astype(">i4"), type_code=12))
    with pytest.raises(UserError, match="not with the header of an IDX file of bytes"):
        read_idx(path)


@pytest.mark.parametrize("keep", range(20))
def test_a_file_cut_anywhere_is_named(tmp_path, keep):
    content = idx(np.zeros((3, 4), np.uint8))
    path = tmp_path / "cut"
    path.write_bytes(content[:keep])
    assert keep < len(content)
    with pytest.raises(UserError, match=r"cut (is empty|starts with|ends inside|holds .* but its header says 12)"):
        read_idx(path)
