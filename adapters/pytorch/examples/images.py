"""Labelled images to train on: MNIST and CIFAR-10 from their files, scikit-learn's digits.

Files are given as they are published, whole or unpacked: IDX (.gz or not), CIFAR-10's "binary
version" and its "python version". A file that is not what its name says raises ValueError with one
sentence.
"""

import gzip
import io
import math
import pickle
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CLASSES = 10
CIFAR_SHAPE = (3, 32, 32)
FOLDS = 5  # of the digits; one is held out

Labelled = tuple[Tensor, Tensor]  # images [n, channels, side, side] from -0.5 to 0.5, labels [n]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class ImageSet:
    """What to train on and what to score on.

    Attributes:
        name: of the data.
        train, held_out: float32 images [n, channels, side, side] and int64 labels [n].
        photographs: images moved a little, or seen in a mirror, are of the same class.
    """

    name: str
    train: Labelled
    held_out: Labelled
    photographs: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Channels and side."""
        return self.train[0].shape[1], self.train[0].shape[2]


def _labelled(file: Path, images: Bytes, labels: Bytes) -> Labelled:
    """Bytes [n, channels, side, side] and [n] as tensors."""
    if len(images) != len(labels) or len(images) == 0:
        raise ValueError(f"{file}: {len(images)} images, and {len(labels)} labels for them")
    if labels.max() >= CLASSES:
        raise ValueError(f"{file}: a label is {labels.max()}; labels are 0 to {CLASSES - 1}")
    pixels = torch.from_numpy(images.astype(np.float32) / 255 - 0.5)
    return pixels, torch.from_numpy(labels.astype(np.int64))


def _find(folder: Path, places: tuple[str, ...], names: tuple[str, ...]) -> Path:
    """The first file of these names in the first of these places of a folder."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    for place in places:
        for name in names:
            if (folder / place / name).is_file():
                return folder / place / name
    raise ValueError(f"{folder}: there is no {' and no '.join(names)}")


# Digits -------------------------------------------------------------------------------------------


def digits(fold: int = 0) -> ImageSet:
    """scikit-learn's 1797 handwritten digits of 8 × 8; the fold to hold out is of 5."""
    from sklearn.datasets import load_digits

    bundled = load_digits()
    images = torch.from_numpy(bundled.images.astype(np.float32) / 16 - 0.5).unsqueeze(1)
    labels = torch.from_numpy(bundled.target.astype(np.int64))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))
    held_out = order[fold % FOLDS :: FOLDS]
    train = order[torch.isin(order, held_out, invert=True)]
    return ImageSet("digits", (images[train], labels[train]), (images[held_out], labels[held_out]))


# MNIST --------------------------------------------------------------------------------------------


def _contents(file: Path) -> bytes:
    data = file.read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{file}: damaged gzip data ({error})") from error


def read_idx(file: Path, dims: int) -> Bytes:
    """An IDX file of unsigned bytes, with or without gzip.

    Two zero bytes, the type (8: unsigned bytes), the number of dimensions, the size of each as a
    big-endian 32-bit number, the data.
    """
    data = _contents(file)
    if data[:3] != b"\0\0\x08" or len(data) < 4:
        raise ValueError(
            f"{file}: begins with {data[:4].hex(' ') or 'nothing'}; "
            "an IDX file of bytes begins with 00 00 08"
        )
    start = 4 + 4 * dims
    if data[3] != dims or len(data) < start:
        raise ValueError(f"{file}: has {data[3]} dimensions; {dims} are expected")
    shape = tuple(np.frombuffer(data, ">u4", dims, 4).tolist())
    if len(data) - start != math.prod(shape):
        raise ValueError(f"{file}: has {len(data) - start} bytes of data for the shape {shape}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def mnist(folder: Path) -> ImageSet:
    """MNIST or what is published in its form: four IDX files, also where torchvision puts them."""

    def part(name: str) -> Labelled:
        arrays = []
        for kind, dims in (("images", 3), ("labels", 1)):
            names = [f"{name}-{kind}{dot}idx{dims}-ubyte" for dot in "-."]
            names += [f"{name}.gz" for name in names]
            file = _find(folder, (".", "raw", "MNIST/raw"), tuple(names))
            arrays.append(read_idx(file, dims))
        images, labels = arrays
        if images.shape[1] != images.shape[2]:
            raise ValueError(f"{file.parent}: images of {images.shape[1:]} are not square")
        return _labelled(file, images[:, None], labels)

    return ImageSet("MNIST", part("train"), part("t10k"))


# CIFAR-10 -----------------------------------------------------------------------------------------


def read_cifar_binary(file: Path) -> Labelled:
    """The binary version: records of a label and 3 × 32 × 32 bytes."""
    record = 1 + math.prod(CIFAR_SHAPE)
    data = np.frombuffer(file.read_bytes(), np.uint8)
    if len(data) == 0 or len(data) % record:
        raise ValueError(f"{file}: {len(data)} bytes are not records of {record}")
    records = data.reshape(-1, record)
    return _labelled(file, records[:, 1:].reshape(-1, *CIFAR_SHAPE), records[:, 0])


class _ArrayUnpickler(pickle.Unpickler):
    """Lets through only what arrays are made of: other pickles can run any program."""

    ALLOWED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def read_cifar_python(file: Path) -> Labelled:
    """The python version: dictionaries with b"data", uint8 [n, 3072], and b"labels", a list."""
    try:
        batch = _ArrayUnpickler(io.BytesIO(file.read_bytes()), encoding="bytes").load()
    except Exception as error:  # damaged pickles raise anything
        raise ValueError(f"{file}: is no pickle of arrays ({error})") from error
    fields = batch if isinstance(batch, dict) else {}
    data, labels = fields.get(b"data"), fields.get(b"labels")
    numbers = math.prod(CIFAR_SHAPE)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (numbers,):
        raise ValueError(f"{file}: holds no b'data' of bytes [n, {numbers}]")
    if not isinstance(labels, list) or not all(type(x) is int and 0 <= x < 256 for x in labels):
        raise ValueError(f"{file}: holds no b'labels', a list of small integers")
    return _labelled(file, data.reshape(-1, *CIFAR_SHAPE), np.array(labels, np.uint8))


def cifar10(folder: Path) -> ImageSet:
    """CIFAR-10 in either version: six files in a folder, or below it as its archive has them."""

    def part(name: str) -> Labelled:
        places = (".", "cifar-10-batches-bin", "cifar-10-batches-py")
        file = _find(folder, places, (f"{name}.bin", name))
        return (read_cifar_binary if file.suffix == ".bin" else read_cifar_python)(file)

    batches = [part(f"data_batch_{i}") for i in range(1, 6)]
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return ImageSet("CIFAR-10", (images, labels), part("test_batch"), photographs=True)


def reader(data: str, read: Callable[[Path], ImageSet]) -> Callable[[int], ImageSet]:
    """What to train on in each run: "digits", another fifth held out each time, or a folder."""
    if data == "digits":
        return digits
    images = read(Path(data))
    return lambda run: images
