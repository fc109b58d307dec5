"""CIFAR-10 from its binary files, in a folder and in the archive."""

import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest

from bakeoff.data import cifar, cifar10
from bakeoff.errors import UserError

NAMES = (*cifar.TRAIN, cifar.TEST)


def tiny_files():
    """20 images a file, and what they hold."""
    rng = np.random.default_rng(0)
    images = {name: rng.integers(0, 256, (20, 3, 32, 32), dtype=np.uint8) for name in NAMES}
    labels = {name: np.arange(20, dtype=np.uint8) % 10 for name in NAMES}
    content = {
        name: b"".join(
            bytes([label]) + image.tobytes() for label, image in zip(labels[name], images[name], strict=True)
        )
        for name in NAMES
    }
    return images, labels, content


def write_folder(root, content):
    (root / cifar.FOLDER).mkdir(parents=True)
    for name, data in content.items():
        (root / cifar.FOLDER / name).write_bytes(data)


def write_archive(root, content, names=NAMES):
    root.mkdir(parents=True, exist_ok=True)
    with tarfile.open(root / cifar.ARCHIVE, "w:gz") as archive:
        for name in reversed(names):  # not in the order of their names, as the real one
            info = tarfile.TarInfo(f"{cifar.FOLDER}/{name}")
            info.size = len(content[name])
            archive.addfile(info, io.BytesIO(content[name]))
    return root / cifar.ARCHIVE


def test_binary_files_are_read(tmp_path):
    images, labels, content = tiny_files()
    write_folder(tmp_path, content)

    data = cifar10(root=tmp_path, val_size=20)

    assert (data.in_shape, data.n_in, data.n_out, data.task) == ((3, 32, 32), 3072, 10, "classification")
    assert [len(x) for x, _ in data.parts().values()] == [80, 20, 20]
    np.testing.assert_array_equal(data.test[1], labels[cifar.TEST])
    train, val, test = (x.double().numpy() for x, _ in data.parts().values())
    channels = np.concatenate([train, val])
    low, high = (end.reshape(3, 1, 1) for end in (channels.min((0, 2, 3)), channels.max((0, 2, 3))))
    np.testing.assert_array_equal(np.round((test - low) / (high - low) * 255), images[cifar.TEST])
    whole = np.round((channels - low) / (high - low) * 255).astype(np.uint8)
    expected = np.concatenate([images[name] for name in cifar.TRAIN])
    assert sorted(image.tobytes() for image in whole) == sorted(image.tobytes() for image in expected)
    np.testing.assert_allclose(train.mean((0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(train.std((0, 2, 3)), 1, atol=1e-6)
    np.testing.assert_array_equal(np.bincount(data.val[1]), [2] * 10)


def test_archive_holds_the_same_as_the_folder(tmp_path):
    _, _, content = tiny_files()
    write_folder(tmp_path / "folder", content)
    archive = write_archive(tmp_path / "archive", content)

    packed, unpacked = (cifar10(root=tmp_path / kind, val_size=20) for kind in ("archive", "folder"))

    assert packed.digest() == unpacked.digest()
    assert list(archive.parent.iterdir()) == [archive]  # not unpacked to disk


def test_missing_data_set_says_where_it_looked_and_how_to_get_it(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()  # the pickled version is not read
    with pytest.raises(UserError, match=r"CIFAR-10 \(binary version\) not found: .*data\.download=true") as caught:
        cifar10(root=tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "data.root=FOLDER" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pack", [write_folder, write_archive], ids=["folder", "archive"])
@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda data: data[:-1], "holds 61459 bytes, not a positive multiple of 3073"),
        (lambda data: b"", "holds 0 bytes"),
        (lambda data: b"\x0a" + data[1:], r"holds a label 10, not in \[0, 10\)"),
    ],
    ids=["cut", "empty", "label"],
)
def test_damaged_batch_is_named(tmp_path, pack, damage, what):
    _, _, content = tiny_files()
    pack(tmp_path, content | {"data_batch_3.bin": damage(content["data_batch_3.bin"])})
    with pytest.raises(UserError, match=rf"{cifar.FOLDER}/data_batch_3\.bin {what}.*; delete it and fetch it again"):
        cifar10(root=tmp_path, val_size=20)


def test_missing_batch_is_named(tmp_path):
    _, _, content = tiny_files()
    write_archive(tmp_path / "archive", content, NAMES[1:])
    with pytest.raises(UserError, match=r"cifar-10-binary\.tar\.gz lacks data_batch_1\.bin; delete it"):
        cifar10(root=tmp_path / "archive")
    write_folder(tmp_path, content)
    (tmp_path / cifar.FOLDER / "test_batch.bin").unlink()
    with pytest.raises(UserError, match=r"cannot be read: .*test_batch\.bin"):
        cifar10(root=tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"<html>",
        lambda data: data[:99] + bytes(99) + data[198:],
        lambda data: gzip.compress(b"no tar"),
    ],
    ids=["cut", "empty", "html", "corrupt", "no tar"],
)
def test_damaged_archive_is_named(tmp_path, damage):
    _, _, content = tiny_files()
    path = write_archive(tmp_path, content)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"cifar-10-binary\.tar\.gz (cannot be read|lacks)"):
        cifar10(root=tmp_path)


def test_download_checks_the_sum_and_unpacks(tmp_path, serve, monkeypatch):
    _, _, content = tiny_files()
    archive = write_archive(tmp_path / "server", content)
    monkeypatch.setattr(cifar, "URL", serve(archive.parent) + archive.name)
    with pytest.raises(UserError, match=r"could not be downloaded into .*File not found or corrupted"):
        cifar10(root=tmp_path / "first", download=True)

    monkeypatch.setattr(cifar, "MD5", hashlib.md5(archive.read_bytes()).hexdigest())
    data = cifar10(root=tmp_path / "second", download=True, val_size=20)
    assert data.digest() == cifar10(root=tmp_path / "server", val_size=20).digest()


def test_failed_download_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "URL", "http://127.0.0.1:1/gone.tar.gz")  # no server is there
    with pytest.raises(UserError, match=r"CIFAR-10 could not be downloaded into .*set data\.root=FOLDER") as caught:
        cifar10(root=tmp_path, download=True)
    assert "\n" not in str(caught.value)
