"""Look-up tables of inner products of one layer's representatives.

One layer of one block has an index, Σ b[j] q^j in 0 … q^d - 1, for which it has a representative
x_m = G b - q Q(G b / q). functional.inner_product_lut sums entries of the two-sided table,
functional.inner_product_one_sided_lut those of a one-sided one.
"""

import torch
from torch import Tensor

from .. import _C
from ..lattices import Lattice
from ..ops import check_vectors


def layer_index(b: Tensor, q: int) -> Tensor:
    """Index of each layer: digits [..., d] to int64 [...]."""
    weights = q ** torch.arange(b.shape[-1], device=b.device)
    return (b.long() * weights).sum(-1)


def build_two_sided_LUT(lattice: Lattice, q: int, *, centred: bool = False) -> Tensor:
    """⟨representative a, representative b⟩ for all a, b.

    Returns:
        [q^d, q^d], on the host: exact integers, int8 where their range allows (D4 with q up to 4),
        else int16; float32 if centred.

    Raises:
        ValueError: q is 1, or even and not a power of two.
        NotImplementedError: more than 2^26 entries; the message says what to use instead.
    """
    return _C.lut_two_sided(lattice.family, lattice.d, q, centred)


def build_one_sided_LUT(y: Tensor, lattice: Lattice, q: int, *, centred: bool = False) -> Tensor:
    """⟨y, representative b⟩ for all b, for each block of a query.

    Args:
        y: [..., k d] of a floating type.
        lattice: whose representatives.
        q: base.
        centred: representatives less their mean.

    Returns:
        float32 [..., k, q^d].

    Raises:
        ValueError: the last dimension is not a multiple of d; NaN or Inf (whose entries are NaN on
            a CUDA device).
    """
    check_vectors("y", y, lattice.d)
    spec = (lattice.family, lattice.d, q, 1, 1.0, 1.0, 0, centred)
    return torch.ops.hlq.lut_one_sided(y.unflatten(-1, (-1, lattice.d)), *spec)
