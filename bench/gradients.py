#!/usr/bin/env python3
"""Write real gradients of data-parallel workers, to measure collectives on.

Two small models are trained on data that every machine has: a byte-level transformer on Python's
own standard library, and a convolutional net on scikit-learn's handwritten digits. At some steps
the gradient of every worker is stored before the workers' mean is applied, as
OUT/MODEL_stepSTEP.npy, an array of float32 [ranks, count] that `hlq_perf --input` reads.

Seeds are fixed: the same torch on the same machine writes the same files.
"""

from __future__ import annotations

import argparse
import glob
import os
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn
except ImportError as missing:
    sys.exit(f"gradients.py: {missing}; run it with the Python of .venv, which launch/env makes")

BATCH = 4  # sequences per worker and step
CONTEXT = 128  # bytes per sequence
WIDTH, LAYERS, HEADS = 192, 4, 6
TEXT_FILES = 120  # of the standard library, in alphabetical order
DIGITS_BATCH = 16  # images per worker and step

Batch = Callable[[], tuple[Tensor, Tensor]]


class Block(nn.Module):
    """One pre-norm transformer layer: [batch, time, WIDTH] to the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(WIDTH)
        self.norm_mlp = nn.LayerNorm(WIDTH)
        self.query_key_value = nn.Linear(WIDTH, 3 * WIDTH)
        self.project = nn.Linear(WIDTH, WIDTH)
        self.expand = nn.Linear(WIDTH, 4 * WIDTH)
        self.contract = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        heads = self.query_key_value(self.norm_attention(x)).view(b, t, 3, HEADS, d // HEADS)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.project(mixed.transpose(1, 2).reshape(b, t, d))
        return x + self.contract(F.gelu(self.expand(self.norm_mlp(x))))


class ByteModel(nn.Module):
    """Predicts the next byte: int64 [batch, time] to logits [batch, time, 256]."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(256, WIDTH)
        self.position = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 256)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x) + self.position.weight[: x.shape[1]]
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


def bytes_batches() -> Batch:
    """A source of (input, target) pairs, int64 [BATCH, CONTEXT] each, target one byte ahead."""
    stdlib = sysconfig.get_paths()["stdlib"]
    paths = sorted(glob.glob(os.path.join(stdlib, "*.py")))[:TEXT_FILES]
    text = b"".join(Path(path).read_bytes() for path in paths)
    if len(text) <= CONTEXT + 1:
        raise SystemExit(f"gradients.py: no Python sources to train on in {stdlib}")
    data = torch.frombuffer(bytearray(text), dtype=torch.uint8).long()
    generator = torch.Generator().manual_seed(1)

    def draw() -> tuple[Tensor, Tensor]:
        starts = torch.randint(0, len(data) - CONTEXT - 1, (BATCH,), generator=generator)
        x = torch.stack([data[i : i + CONTEXT] for i in starts])
        y = torch.stack([data[i + 1 : i + CONTEXT + 1] for i in starts])
        return x, y

    return draw


def digits_model() -> nn.Module:
    """Classifies images [batch, 1, 8, 8] into logits [batch, 10]; about 0.6 million weights."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128 * 4 * 4, 256),
        nn.ReLU(),
        nn.Linear(256, 10),
    )


def digits_batches() -> Batch:
    """A source of (images, labels): float32 [DIGITS_BATCH, 1, 8, 8] and int64 [DIGITS_BATCH]."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16.0
    labels = torch.tensor(digits.target)
    generator = torch.Generator().manual_seed(1)

    def draw() -> tuple[Tensor, Tensor]:
        picked = torch.randint(0, len(images), (DIGITS_BATCH,), generator=generator)
        return images[picked], labels[picked]

    return draw


def worker_gradient(model: nn.Module, draw: Batch) -> tuple[Tensor, float]:
    """One worker's gradient, flat, last parameter first as DDP's buckets have it, and its loss."""
    x, y = draw()
    model.zero_grad()
    logits = model(x)
    loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))
    loss.backward()
    parameters = reversed(list(model.parameters()))
    return torch.cat([p.grad.flatten() for p in parameters]), float(loss.detach())


def apply_mean(model: nn.Module, mean: Tensor) -> None:
    """Sets every parameter's gradient from the flat mean [count]."""
    offset = 0
    for p in reversed(list(model.parameters())):
        p.grad = mean[offset : offset + p.numel()].view_as(p).clone()
        offset += p.numel()


def train(name: str, ranks: int, steps: set[int], out: Path) -> None:
    """Trains one model to the last of steps and stores the gradients [ranks, count] of each."""
    torch.manual_seed(0)
    model = ByteModel() if name == "bytes" else digits_model()
    draw = bytes_batches() if name == "bytes" else digits_batches()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    begin = time.monotonic()
    for step in range(max(steps) + 1):
        gradients, losses = zip(*(worker_gradient(model, draw) for _ in range(ranks)), strict=True)
        stacked = torch.stack(gradients)
        if step in steps:
            path = out / f"{name}_step{step}.npy"
            np.save(path, stacked.numpy())
            print(
                f"{name} step {step}: loss {sum(losses) / ranks:.3f}, "
                f"{ranks} x {stacked.shape[1]} numbers in {path}, "
                f"{time.monotonic() - begin:.0f} s",
                file=sys.stderr,
                flush=True,
            )
        apply_mean(model, stacked.mean(0))
        optimizer.step()


def positive(text: str) -> int:
    """Reads an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return int(text)


def step_list(text: str) -> set[int]:
    """Reads "5,100,400"."""
    words = text.split(",")
    if not all(word.isdecimal() for word in words):
        raise argparse.ArgumentTypeError(f"{text} is not a list of steps such as 5,100,400")
    return {int(word) for word in words}


def main() -> int:
    """Parses the command line and trains."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/gradients"), help="directory")
    parser.add_argument("--steps", type=step_list, default="5,100,400", help="default 5,100,400")
    parser.add_argument("--model", choices=["bytes", "digits", "both"], default="both")
    parser.add_argument("--ranks", type=positive, default=8, help="workers (default 8)")
    arguments = parser.parse_args()
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"cannot make the directory {arguments.out}: {error.strerror}")
    torch.set_num_threads(2)  # sums inside torch are cut by thread: the files depend on it
    names = ["bytes", "digits"] if arguments.model == "both" else [arguments.model]
    for name in names:
        train(name, arguments.ranks, arguments.steps, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
