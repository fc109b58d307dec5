"""The data sets in scikit-learn's package: nothing to download, small enough for a run of seconds."""

import numpy as np
from sklearn.datasets import load_diabetes, load_digits

from bakeoff.data.arrays import Arrays
from bakeoff.data.assemble import assemble


def digits(*, val_size: float = 0.2, test_size: float = 0.2, split_seed: int = 0, drop_last: bool = False) -> Arrays:
    """1797 handwritten digits, `(1, 8, 8)`, 10 classes (UCI Optical Recognition of Handwritten Digits)."""
    source = load_digits()
    raw = {"train": (source.images[:, None].astype(np.float32), source.target)}
    sizes = {"val": val_size, "test": test_size}
    return assemble(raw, where="digits", sizes=sizes, split_seed=split_seed, drop_last=drop_last)


def diabetes(*, val_size: float = 0.2, test_size: float = 0.2, split_seed: int = 0, drop_last: bool = False) -> Arrays:
    """442 patients, 10 features, one disease progression score to regress on (Efron et al. 2004).

    Loaded unscaled: scikit-learn's scaled version uses the statistics of all samples, the test data included.
    """
    source = load_diabetes(scaled=False)
    sizes = {"val": val_size, "test": test_size}
    raw = {"train": (source.data, source.target)}
    return assemble(raw, where="diabetes", sizes=sizes, split_seed=split_seed, drop_last=drop_last)
