"""Vectors of any length, cut into blocks of a lattice's dimension with zeros at the end."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class PadInfo(NamedTuple):
    """What untile_last_dim must know.

    Attributes:
        length: of the last dimension before tiling.
        pad: zeros appended to it.
    """

    length: int
    pad: int


def pad_last_dim(x: Tensor, d: int) -> Tensor:
    """Zeros appended to [..., n] until n is a multiple of d."""
    pad = -x.shape[-1] % d
    return F.pad(x, (0, pad)) if pad else x


def tile_last_dim(x: Tensor, d: int) -> tuple[Tensor, PadInfo]:
    """Cuts the last dimension into blocks of d numbers, the last of them filled up with zeros.

    Args:
        x: [..., n].
        d: length of a block.

    Returns:
        [..., ceil(n / d), d], and what untile_last_dim needs to undo it.

    Raises:
        ValueError: d below 1, or x without dimensions.
    """
    if d < 1 or x.dim() == 0:
        raise ValueError(f"x of shape {list(x.shape)} cannot be cut into blocks of {d}")
    length = x.shape[-1]
    padded = pad_last_dim(x, d)
    blocks = padded.reshape(*x.shape[:-1], padded.shape[-1] // d, d)
    return blocks, PadInfo(length, padded.shape[-1] - length)


def untile_last_dim(tiled: Tensor, pad_info: PadInfo) -> Tensor:
    """[..., blocks, d] back to [..., n].

    Raises:
        ValueError: pad_info belongs to other blocks.
    """
    length, pad = pad_info
    if tiled.dim() < 2 or tiled.shape[-2] * tiled.shape[-1] != length + pad:
        raise ValueError(
            f"tiled of shape {list(tiled.shape)} is not {length} numbers with {pad} zeros appended"
        )
    return tiled.flatten(-2)[..., :length]
