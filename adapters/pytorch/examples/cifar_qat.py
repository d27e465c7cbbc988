"""Trains an MLP-Mixer on CIFAR-10 with quantized weights, and without.

python cifar_qat.py                    scikit-learn's digits, a minute
python cifar_qat.py --data DIR         CIFAR-10, its binary or its python version, in DIR

An MLP-Mixer (Tolstikhin and others, arXiv 2105.01601) has linear layers only, between patches and
within them, so that everything it multiplies with is quantized.
"""

import images
import qat
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Perceptron(nn.Sequential):
    """Two linear layers on the last dimension, which keeps its size."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))


class Block(nn.Module):
    """Mixes patches, then channels, each with a residual connection: [n, patches, width]."""

    def __init__(self, patches: int, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.between, self.within = Perceptron(patches), Perceptron(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.between(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.within(self.norm2(x))


class Mixer(nn.Module):
    """Images [n, channels, side, side] to logits [n, 10]."""

    def __init__(self, channels: int, side: int, *, patch: int, width: int, blocks: int) -> None:
        super().__init__()
        self.patch = patch
        patches = (side // patch) ** 2
        self.embed = nn.Linear(channels * patch**2, width)
        self.blocks = nn.Sequential(*(Block(patches, width) for _ in range(blocks)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, images.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        patches = F.unfold(x, self.patch, stride=self.patch).transpose(1, 2)
        return self.head(self.norm(self.blocks(self.embed(patches))).mean(1))


def make(data: images.ImageSet) -> Mixer:
    """A small one for the small digits."""
    channels, side = data.shape
    if side < 32:
        return Mixer(channels, side, patch=2, width=64, blocks=2)
    return Mixer(channels, side, patch=4, width=192, blocks=6)


def shifted(batch: Tensor, generator: torch.Generator) -> Tensor:
    """Each image moved by up to an eighth of its side, and half of them mirrored."""
    n, _, side, _ = batch.shape
    reach = side // 8
    padded = F.pad(batch, (reach,) * 4, mode="replicate")
    rows, columns = torch.randint(2 * reach + 1, (2, n, 1), generator=generator)
    rows, columns = rows + torch.arange(side), columns + torch.arange(side)
    mirrored = torch.rand(n, 1, generator=generator) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    images = torch.arange(n)[:, None, None]
    # An index on either side of the channels' slice puts the channels last.
    return padded[images, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


if __name__ == "__main__":
    options = qat.arguments(
        "Quantization-aware training of an MLP-Mixer on CIFAR-10, or on scikit-learn's digits.",
        runs=3,
        steps=250,
        steps_of_files=10000,
    )
    recipe = qat.Recipe("cifar_qat", make, learning_rate=3e-3, augment=shifted)
    qat.run(recipe, lambda: images.reader(options.data, images.cifar10), options)
