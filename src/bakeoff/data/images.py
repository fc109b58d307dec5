"""MNIST and Fashion-MNIST, read from the official archives without unpacking them."""

from http.client import HTTPException
from pathlib import Path

from torchvision import datasets

from bakeoff.data.arrays import Arrays
from bakeoff.data.assemble import assemble
from bakeoff.data.checks import RawPart
from bakeoff.data.idx import read_idx
from bakeoff.errors import UserError


def mnist(
    *, root: str | Path, download: bool = False, val_size: float = 5000, split_seed: int = 0, drop_last: bool = False
) -> Arrays:
    """70,000 handwritten digits, `(1, 28, 28)` (LeCun et al. 1998), from `<root>/MNIST/raw`.

    The official test set is the test set; validation is a stratified part of the training set.
    """
    return _load(datasets.MNIST, Path(root), download, val_size, split_seed, drop_last)


def fashion_mnist(
    *, root: str | Path, download: bool = False, val_size: float = 5000, split_seed: int = 0, drop_last: bool = False
) -> Arrays:
    """70,000 pictures of clothing, `(1, 28, 28)` (Xiao et al. 2017), from `<root>/FashionMNIST/raw`.

    The official test set is the test set; validation is a stratified part of the training set.
    """
    return _load(datasets.FashionMNIST, Path(root), download, val_size, split_seed, drop_last)


def _load(
    source: type[datasets.MNIST], root: Path, download: bool, val_size: float, split_seed: int, drop_last: bool
) -> Arrays:
    root = root.expanduser().absolute()
    folder = root / source.__name__ / "raw"  # torchvision's own layout
    if download and _first_missing(folder):
        _download(source, root)
    if missing := _first_missing(folder):
        raise UserError(
            f"{source.__name__} not found: no {missing} in {folder}; set data.root=FOLDER to the folder "
            f"that holds {source.__name__}/raw, or fetch it with data.download=true"
        )
    raw = {"train": _part(folder, "train"), "test": _part(folder, "t10k")}
    return assemble(raw, where=str(folder), sizes={"val": val_size}, split_seed=split_seed, drop_last=drop_last)


def _part(folder: Path, prefix: str) -> RawPart:
    images, labels = (read_idx(_find(folder, name)) for name in _names(prefix))
    if images.ndim != 3 or labels.ndim != 1:
        raise UserError(
            f"{prefix} files in {folder} must hold (N, H, W) images and (N,) labels, got {images.shape} and "
            f"{labels.shape}; replace them, for instance with data.download=true into an empty data.root"
        )
    return images[:, None], labels


def _names(prefix: str) -> tuple[str, str]:
    return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"


def _first_missing(folder: Path) -> str | None:
    names = (*_names("train"), *_names("t10k"))
    return next((f"{name}.gz" for name in names if not _find(folder, name).exists()), None)


def _find(folder: Path, name: str) -> Path:
    packed = folder / f"{name}.gz"  # preferred: an archive has a checksum
    return packed if packed.exists() else folder / name


def _download(source: type[datasets.MNIST], root: Path) -> None:
    try:
        source(root, download=True)
    except (OSError, RuntimeError, HTTPException, EOFError) as error:  # URLError is an OSError
        reason = " ".join(str(error).split())
        raise UserError(
            f"{source.__name__} could not be downloaded into {root}: {reason}; check the network and whether "
            f"it is writable, or set data.root=FOLDER, which holds {source.__name__}/raw"
        ) from error
