"""Predicts the next byte of Python's own standard library with a small transformer.

mpirun -n 4 python train_bytes.py --comm hook --bits 4
torchrun --nproc-per-node 4 train_bytes.py --comm hlq
python train_bytes.py
"""

import sysconfig
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from common import Task, arguments, run
from torch import Tensor, nn

from hlqtorch.dist.launcher import Place

FILES = 120  # of the standard library, in alphabetical order; every tenth is held out
LENGTH = 64  # bytes of context
BATCH = 8  # sequences per rank and step
SCORED = 256  # held-out sequences, over all ranks
WIDTH, LAYERS, HEADS = 128, 3, 4


class Block(nn.Module):
    """Causal self-attention and a two-layer perceptron, each with a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        qkv = self.qkv(self.norm1(x)).view(n, length, 3, HEADS, WIDTH // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(attended.transpose(1, 2).reshape(n, length, WIDTH))
        return x + self.mlp(self.norm2(x))


class ByteTransformer(nn.Module):
    """Bytes [n, length] to logits of the next byte [n, length, 256]."""

    def __init__(self) -> None:
        super().__init__()
        self.byte, self.position = nn.Embedding(256, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 256)

    def forward(self, bytes_in: Tensor) -> Tensor:
        x = self.byte(bytes_in) + self.position.weight[: bytes_in.shape[1]]
        return self.head(self.norm(self.blocks(x)))


def read_text() -> tuple[Tensor, Tensor]:
    """Bytes to train on and bytes to score on, from different files."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:FILES]
    held_out, trained = files[9::10], [file for i, file in enumerate(files) if i % 10 != 9]

    def joined(chosen: list[Path]) -> Tensor:
        data = b"".join(file.read_bytes() for file in chosen)
        return torch.from_numpy(np.frombuffer(data, np.uint8).astype(np.int64))

    return joined(trained), joined(held_out)


def cut_out(text: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    """Sequences that begin at `starts`, and the same one byte later."""
    where = starts.unsqueeze(1) + torch.arange(LENGTH)
    return text[where], text[where + 1]


def make(seed: int, here: Place) -> Task:
    """The task of one rank: random places of the text, its share of the held-out sequences."""
    text, held_out = read_text()
    generator = torch.Generator().manual_seed(1000 * seed + here.rank)

    def batch() -> tuple[Tensor, Tensor]:
        starts = torch.randint(len(text) - LENGTH, (BATCH,), generator=generator)
        return cut_out(text, starts)

    starts = torch.linspace(0, len(held_out) - LENGTH - 1, SCORED).long()
    starts = starts[: SCORED // here.size * here.size][here.rank :: here.size]
    torch.manual_seed(seed)
    return Task(ByteTransformer(), batch, [cut_out(held_out, starts)], learning_rate=2e-3)


if __name__ == "__main__":
    run("bytes", make, arguments("Trains a byte-level transformer on Python's library.", steps=200))
