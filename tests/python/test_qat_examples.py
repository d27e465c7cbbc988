"""The examples of quantization-aware training: what they reach, and the files they read."""

import gzip
import io
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import jobs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

sys.path.append(str(jobs.EXAMPLES))
import images
from qat_run import mean_difference, run

Bytes = NDArray[np.uint8]


# What they reach ----------------------------------------------------------------------------------


def test_training_with_the_code_makes_up_for_it(tmp_path: Path) -> None:
    result, printed = run("mnist_qat.py", tmp_path, "--runs", 2)
    for code in result["codes"]:
        assert f"D4, q = 4, M = {code['M']}" in printed
    # What eight runs reach is in test_qat_examples_runs.py.
    assert result["seeds"] == [0, 1] and sum(result["float"]) / 2 > 94
    four_bits, two_bits = result["codes"]
    assert mean_difference(four_bits["qat"], result["float"]) > -0.5
    assert mean_difference(two_bits["qat"], two_bits["post_training"]) > 0
    # A scale of 32 bits for each row: 64 weights, or as many pixels.
    assert [code["bits_per_weight"] for code in result["codes"]] == [4.5, 2.5]
    # Seeds decide everything.
    again, _ = run("mnist_qat.py", tmp_path, "--runs", 1)
    assert again["float"] == result["float"][:1] != result["float"][1:]
    for one, two in zip(again["codes"], result["codes"], strict=True):
        assert one["qat"] == two["qat"][:1]


# Files --------------------------------------------------------------------------------------------


def some_images(count: int, *shape: int) -> tuple[Bytes, Bytes]:
    random = np.random.default_rng(count)
    pixels = random.integers(0, 256, (count, *shape), dtype=np.uint8)
    return pixels, random.integers(0, 10, count, dtype=np.uint8)


def idx(array: Bytes) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder: Path, side: int = 28) -> dict[str, tuple[Bytes, Bytes]]:
    written = {}
    for name, count in (("train", 30), ("t10k", 20)):
        written[name] = pixels, labels = some_images(count, side, side)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(idx(pixels))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(idx(labels))
    return written


class Python2Pickler(pickle._Pickler):
    """Writes protocol 2 as Python 2 did: str is bytes, and numpy is before 2.0."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, text: str | bytes) -> None:
        data = text.encode("latin1") if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_string


def python2_pickle(value: object) -> bytes:
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(value)
    return file.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def write_cifar(folder: Path, version: str) -> dict[str, tuple[Bytes, Bytes]]:
    written = {}
    for n, name in enumerate(BATCHES):
        written[name] = pixels, labels = some_images(7 + n, 3, 32, 32)
        flat = pixels.reshape(len(pixels), -1)
        if version == "binary":
            records = np.concatenate([labels[:, None], flat], axis=1)
            (folder / f"{name}.bin").write_bytes(records.tobytes())
        else:
            batch = {"batch_label": name, "labels": labels.tolist(), "data": flat}
            (folder / name).write_bytes(python2_pickle(batch))
    return written


def assert_holds(part: images.Labelled, pixels: Bytes, labels: Bytes) -> None:
    assert part[0].dtype == torch.float32 and part[1].dtype == torch.int64
    expected = torch.from_numpy(pixels).reshape(part[0].shape)
    assert torch.equal(((part[0] + 0.5) * 255).round().byte(), expected)
    assert part[0].min() >= -0.5 and part[0].max() <= 0.5
    assert part[1].tolist() == labels.tolist()


@pytest.mark.parametrize("place", [".", "raw", "MNIST/raw"])
@pytest.mark.parametrize("how", ["plain", "gz", "dots"])
def test_mnist_files_are_read(how: str, place: str, tmp_path: Path) -> None:
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    written = write_mnist(folder)
    for file in list(folder.iterdir()):
        if how == "gz":
            (folder / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()
        elif how == "dots":
            file.rename(folder / file.name.replace("-idx", ".idx"))
    read = images.mnist(tmp_path)
    assert read.shape == (1, 28) and not read.photographs
    assert_holds(read.train, *written["train"])
    assert_holds(read.held_out, *written["t10k"])


@pytest.mark.parametrize("place", [".", "cifar-10-batches-{}"])
@pytest.mark.parametrize("version", ["binary", "python"])
def test_cifar_files_are_read(version: str, place: str, tmp_path: Path) -> None:
    folder = tmp_path / place.format({"binary": "bin", "python": "py"}[version])
    folder.mkdir(exist_ok=True)
    written = write_cifar(folder, version)
    read = images.cifar10(tmp_path)
    assert read.shape == (3, 32) and read.photographs
    parts = [written[name] for name in BATCHES[:5]]
    assert_holds(read.train, *(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    assert_holds(read.held_out, *written["test_batch"])


def test_digits_are_each_held_out_once() -> None:
    folds = [images.digits(fold) for fold in range(images.FOLDS)]
    assert sum(len(fold.held_out[1]) for fold in folds) == 1797
    for fold in folds:
        # Equal images with equal labels are rare in these data, so sums tell apart who is where.
        total = fold.train[0].double().sum() + fold.held_out[0].double().sum()
        assert total == folds[0].train[0].double().sum() + folds[0].held_out[0].double().sum()
        assert len(fold.train[1]) + len(fold.held_out[1]) == 1797


def test_examples_train_on_files(tmp_path: Path) -> None:
    options = ("--data", tmp_path, "--steps", 1)
    write_mnist(tmp_path)
    result, printed = run("mnist_qat.py", tmp_path, *options)
    assert "mnist_qat on MNIST: 30 images, 20 held out; 1 steps" in printed
    assert len(result["float"]) == 1  # files have their own images to score on
    write_cifar(tmp_path, "binary")
    result, printed = run("cifar_qat.py", tmp_path, *options, "--activations")
    assert "cifar_qat on CIFAR-10: 45 images, 12 held out; 1 steps" in printed
    assert result["activations"] and "weights and activations in codes" in printed


# Bad files ----------------------------------------------------------------------------------------


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def pickled(value: object) -> Callable[[Path], None]:
    return lambda file: file.write_bytes(pickle.dumps(value))


BAD_MNIST: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "there is no train-images-idx3-ubyte and no train-images.idx3-ubyte"),
    "short": (cut, r"has 23519 bytes of data for the shape \(30, 28, 28\)"),
    "empty": (lambda file: file.write_bytes(b""), "begins with nothing"),
    "other": (lambda file: file.write_bytes(b"\x89PNG\r\n"), "begins with 89 50 4e 47"),
    "type": (lambda file: file.write_bytes(b"\0\0\x0d\3" + bytes(99)), "begins with 00 00 0d 03"),
    "dims": (lambda file: file.write_bytes(idx(np.zeros(9, np.uint8))), "has 1 dimensions; 3 are"),
    "huge": (
        lambda file: file.write_bytes(b"\0\0\x08\3" + b"\xff" * 12),
        r"has 0 bytes of data for the shape \(4294967295, ",
    ),
    "count": (lambda file: file.write_bytes(idx(some_images(29, 28, 28)[0])), "29 images, and 30 "),
    "square": (lambda file: file.write_bytes(idx(some_images(30, 28, 27)[0])), "are not square"),
    "gzip": (
        lambda file: file.write_bytes(gzip.compress(file.read_bytes())[:-9]),
        "damaged gzip data",
    ),
}


@pytest.mark.parametrize(("damage", "words"), BAD_MNIST.values(), ids=BAD_MNIST)
def test_bad_mnist_files_get_a_sentence(
    damage: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    write_mnist(tmp_path)
    damage(tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(ValueError, match=words) as raised:
        images.mnist(tmp_path)
    assert str(tmp_path) in str(raised.value) and "\n" not in str(raised.value)


class Program:
    def __reduce__(self) -> tuple:
        return print, ("a pickle ran a program",)


ROWS = np.zeros((7, 3072), np.uint8)
BAD_CIFAR: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("binary", Path.unlink, "there is no data_batch_1.bin and no data_batch_1"),
    "short": ("binary", cut, "21510 bytes are not records of 3073"),
    "empty": ("binary", lambda file: file.write_bytes(b""), "0 bytes are not records of 3073"),
    "label": (
        "binary",
        lambda file: file.write_bytes(b"\x0a" + file.read_bytes()[1:]),
        "a label is 10; labels are 0 to 9",
    ),
    "cut": ("python", cut, "is no pickle of arrays"),
    "program": ("python", pickled(Program()), r"is no pickle of arrays \(it asks for builtins.pri"),
    "list": ("python", pickled([1, 2]), "holds no b'data'"),
    "wide": ("python", pickled({b"data": ROWS[:, 1:], b"labels": [0] * 7}), "holds no b'data'"),
    "labels": ("python", pickled({b"data": ROWS, b"labels": [0.5] * 7}), "holds no b'labels'"),
    "count": ("python", pickled({b"data": ROWS, b"labels": [0]}), "7 images, and 1 labels for"),
}


@pytest.mark.parametrize(("version", "damage", "words"), BAD_CIFAR.values(), ids=BAD_CIFAR)
def test_bad_cifar_files_get_a_sentence(
    version: str,
    damage: Callable[[Path], object],
    words: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    write_cifar(tmp_path, version)
    damage(tmp_path / ("data_batch_1.bin" if version == "binary" else "data_batch_1"))
    with pytest.raises(ValueError, match=words) as raised:
        images.cifar10(tmp_path)
    assert str(tmp_path) in str(raised.value)
    assert "ran a program" not in capfd.readouterr().out


def test_examples_say_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, jobs.EXAMPLES / "mnist_qat.py", "--data"]
    ended = jobs.run([*command, tmp_path / "nowhere"])
    assert ended.returncode == 1
    assert ended.stdout == f"mnist_qat: {tmp_path / 'nowhere'} is no folder\n"
