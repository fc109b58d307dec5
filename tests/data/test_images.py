"""MNIST and Fashion-MNIST: the real archives against torchvision, and small ones in the same format."""

import gzip
import shutil
import socket

import numpy as np
import pytest
import torch
from torchvision import datasets

from bakeoff.data import fashion_mnist, mnist
from bakeoff.errors import UserError

from .samples import idx

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def tiny(root, name="MNIST", packed=True):
    """A data set of 60 + 20 images of 4x5 in MNIST's format; returns its folder and its arrays."""
    rng = np.random.default_rng(0)
    sets = [rng.integers(0, 256, (n, 4, 5), dtype=np.uint8) for n in (60, 20)]
    labels = [np.arange(n, dtype=np.uint8) % 3 for n in (60, 20)]
    arrays = [sets[0], labels[0], sets[1], labels[1]]
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for name, array in zip(NAMES, arrays, strict=True):
        content = idx(array)
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)
    return folder, arrays


def entries(folder):
    return sorted((path.name, path.stat().st_mtime_ns) for path in folder.rglob("*"))


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("load", "source"), [(mnist, datasets.MNIST), (fashion_mnist, datasets.FashionMNIST)], ids=["mnist", "fashion"]
)
def test_real_archives_are_read_as_torchvision_reads_them(shared_data, tmp_path, load, source):
    before = entries(shared_data)
    data = load(root=shared_data)
    assert entries(shared_data) == before  # nothing unpacked

    assert [len(x) for x, _ in data.parts().values()] == [55000, 5000, 10000]
    assert (data.in_shape, data.n_out) == ((1, 28, 28), 10)
    raw = tmp_path / source.__name__ / "raw"
    raw.mkdir(parents=True)
    for archive in (shared_data / source.__name__ / "raw").glob("*.gz"):
        (raw / archive.stem).write_bytes(gzip.decompress(archive.read_bytes()))
    theirs = source(tmp_path, train=False)
    assert torch.equal(data.test[1], theirs.targets)
    x = data.test[0][:, 0].double()
    scale = 255 / (x.max() - x.min())
    assert torch.equal(((x - x.min()) * scale).round().byte(), theirs.data)
    counts = torch.stack([torch.bincount(y) for _, y in data.parts().values()][:2])
    assert torch.equal(counts.sum(0), torch.bincount(source(tmp_path).targets))
    torch.testing.assert_close(counts[0] / 55000, counts[1] / 5000, atol=2e-4, rtol=0)
    assert abs(data.train[0].mean()) < 1e-4
    assert abs(data.train[0].std() - 1) < 1e-4


def test_official_test_set_is_the_test_set(tmp_path):
    _, (images, _, test_images, test_labels) = tiny(tmp_path)

    data = mnist(root=tmp_path, val_size=9)

    assert [len(x) for x, _ in data.parts().values()] == [51, 9, 20]
    np.testing.assert_array_equal(data.test[1], test_labels)
    np.testing.assert_array_equal(np.bincount(data.val[1]), [3, 3, 3])
    # undo the standardisation by the extremes, which are 0 and 255 in this much data
    train, val, test = (x.double().numpy() for x, _ in data.parts().values())
    low, high = min(train.min(), val.min()), max(train.max(), val.max())
    np.testing.assert_array_equal(np.round((test[:, 0] - low) / (high - low) * 255), test_images)
    both = np.round((np.concatenate([train, val])[:, 0] - low) / (high - low) * 255).astype(np.uint8)
    assert sorted(image.tobytes() for image in both) == sorted(image.tobytes() for image in images)


def test_validation_is_fixed_by_the_split_seed(tmp_path):
    tiny(tmp_path)
    first, again, other = (mnist(root=tmp_path, val_size=0.2, split_seed=seed) for seed in (0, 0, 1))
    assert first.digest() == again.digest() != other.digest()


def test_unpacked_files_hold_the_same(tmp_path):
    tiny(tmp_path / "gz", "FashionMNIST")
    tiny(tmp_path / "plain", "FashionMNIST", packed=False)
    packed, plain = (fashion_mnist(root=tmp_path / kind, val_size=9) for kind in ("gz", "plain"))
    assert packed.digest() == plain.digest()


def test_a_read_only_folder_is_enough(tmp_path, monkeypatch):
    folder, _ = tiny(tmp_path)
    before = entries(tmp_path)
    folder.chmod(0o555)
    monkeypatch.setattr("pathlib.Path.write_bytes", None)  # root may write where it may not
    monkeypatch.setattr("gzip.GzipFile.write", None)
    mnist(root=str(tmp_path), val_size=9, download=True)  # nothing is missing, so nothing is fetched
    assert entries(tmp_path) == before


def test_missing_data_set_says_where_it_looked_and_how_to_get_it(tmp_path):
    with pytest.raises(UserError) as caught:
        fashion_mnist(root=tmp_path)
    message = str(caught.value)
    assert f"FashionMNIST not found: no train-images-idx3-ubyte.gz in {tmp_path}/FashionMNIST/raw" in message
    assert "data.root=FOLDER" in message
    assert "data.download=true" in message
    assert "\n" not in message


def test_one_missing_file_is_named(tmp_path):
    folder, _ = tiny(tmp_path)
    (folder / f"{NAMES[3]}.gz").unlink()
    with pytest.raises(UserError, match=r"no t10k-labels-idx1-ubyte\.gz in"):
        mnist(root=tmp_path)


@pytest.mark.parametrize("name", [f"{name}.gz" for name in NAMES])
@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda data: data[: len(data) // 2], "cannot be read"),
        (lambda data: b"", "is empty"),
        (lambda data: gzip.decompress(data), "cannot be read: Not a gzipped file"),
        (lambda data: data[:20] + bytes(8) + data[28:], "cannot be read"),
        (lambda data: data[:10] + b"\xff" * 20 + data[30:], "cannot be read: Error -3 while decompressing"),
        (lambda data: gzip.compress(b""), "is empty"),
        (lambda data: gzip.compress(gzip.decompress(data)[:-1]), "but its header says"),
        (lambda data: gzip.compress(gzip.decompress(data) + b"0"), "but its header says"),
        (lambda data: gzip.compress(gzip.decompress(data)[:6]), "ends inside its header"),
        (lambda data: gzip.compress(b"<html>not found</html>"), "starts with b'<htm', not with the header"),
    ],
    ids=["cut", "empty", "not gz", "corrupt", "no deflate", "empty inside", "short", "long", "header cut", "html"],
)
def test_damaged_archive_is_named(tmp_path, name, damage, what):
    folder, _ = tiny(tmp_path)
    path = folder / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError) as caught:
        mnist(root=tmp_path, val_size=9)
    assert str(caught.value).startswith(f"{path} ")
    assert what in str(caught.value)
    assert "delete it and fetch it again with data.download=true" in str(caught.value)


def test_truncated_unpacked_file_is_named(tmp_path):
    folder, _ = tiny(tmp_path, packed=False)
    path = folder / NAMES[0]
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=r"idx3-ubyte holds 484 values but its header says 1200"):
        mnist(root=tmp_path, val_size=9)


def test_images_and_labels_of_other_shapes_are_refused(tmp_path):
    folder, (images, labels, *_) = tiny(tmp_path, packed=False)
    (folder / NAMES[1]).write_bytes(idx(images))
    with pytest.raises(UserError, match=r"must hold \(N, H, W\) images and \(N,\) labels, got \(60, 4, 5\) and"):
        mnist(root=tmp_path)
    (folder / NAMES[1]).write_bytes(idx(labels[:-3]))
    with pytest.raises(UserError, match=r"x_train and y_train must be equally long in .*raw, got 60 and 57"):
        mnist(root=tmp_path)


@pytest.mark.parametrize("failure", [OSError("no\n route"), RuntimeError("File not found or corrupted.")])
def test_failed_download_says_what_to_do(tmp_path, monkeypatch, failure):
    def download(self):
        raise failure

    monkeypatch.setattr(datasets.MNIST, "download", download)
    with pytest.raises(UserError, match=r"MNIST could not be downloaded into .*: .*set data\.root=FOLDER") as caught:
        mnist(root=tmp_path, download=True)
    assert "\n" not in str(caught.value)


def test_unreachable_mirrors(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", ["http://mirror.invalid/"])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: (_ for _ in ()).throw(socket.gaierror("no such host")))
    with pytest.raises(UserError, match=r"Tried http://mirror\.invalid/, got: .*no such host"):
        fashion_mnist(root=tmp_path, download=True)


@pytest.mark.shared_data
def test_download_goes_through_torchvision_and_its_checksums(shared_data, tmp_path, serve, monkeypatch):
    raw = shared_data / "FashionMNIST" / "raw"
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [serve(raw)])
    data = fashion_mnist(root=tmp_path, download=True)
    assert [len(x) for x, _ in data.parts().values()] == [55000, 5000, 10000]

    shutil.rmtree(tmp_path / "FashionMNIST")
    monkeypatch.setattr(datasets.FashionMNIST, "resources", [(f"{name}.gz", "0" * 32) for name in NAMES])
    with pytest.raises(UserError, match="File not found or corrupted"):
        fashion_mnist(root=tmp_path, download=True)
