"""Classifies scikit-learn's handwritten digits (1797 images of 8 × 8, part of the package).

mpirun -n 4 python train_digits.py --comm hook --bits 4
torchrun --nproc-per-node 4 train_digits.py --comm bf16
python train_digits.py
"""

import numpy as np
import torch
from common import Task, arguments, run
from sklearn.datasets import load_digits
from torch import Tensor, nn

from hlqtorch.dist.launcher import Place

BATCH = 32  # images per rank and step
HELD_OUT = 360  # images, a fifth


def make_model() -> nn.Module:
    """Images [n, 1, 8, 8] to logits [n, 1, 10]."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 192),
        nn.ReLU(),
        nn.Linear(192, 10),
        nn.Unflatten(1, (1, 10)),
    )


def make(seed: int, here: Place) -> Task:
    """The task of one rank: its own images to train on, its share of the images to score on."""
    digits = load_digits()
    images = torch.from_numpy(digits.images.astype(np.float32) / 16 - 0.5).unsqueeze(1)
    labels = torch.from_numpy(digits.target.astype(np.int64)).unsqueeze(1)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))
    scored, trained = order[:HELD_OUT], order[HELD_OUT:]

    share = trained[here.rank :: here.size]
    generator = torch.Generator().manual_seed(1000 * seed + here.rank)

    def batch() -> tuple[Tensor, Tensor]:
        chosen = share[torch.randint(len(share), (BATCH,), generator=generator)]
        return images[chosen], labels[chosen]

    # Equal shares: the remainder, less than one image per rank, is left out.
    scored = scored[: HELD_OUT // here.size * here.size][here.rank :: here.size]
    torch.manual_seed(seed)
    return Task(make_model(), batch, [(images[scored], labels[scored])], learning_rate=4e-3)


if __name__ == "__main__":
    run("digits", make, arguments("Trains a small CNN on handwritten digits.", steps=150))
