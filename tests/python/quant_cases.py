"""Lattices, codes and numbers that the tests of hlqtorch.quant share."""

import pytest
import torch
from hlqtorch.lattices import D4, E8, Lattice, Zd
from torch import Tensor

LATTICES = [Zd(1), Zd(2), Zd(4), Zd(8), D4(), E8()]
# Rates from 1 to 12 bits; q odd, a power of two, and with digits of 16 bits.
CODES = [(2, 1), (2, 4), (3, 2), (4, 1), (4, 2), (5, 3), (7, 4), (8, 4), (301, 1), (1024, 1)]

each_lattice = pytest.mark.parametrize("lattice", LATTICES, ids=lambda lattice: lattice.name)
each_code = pytest.mark.parametrize(("q", "M"), CODES)


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def points(lattice: Lattice, count: int, reach: int, seed: int = 0) -> Tensor:
    """Lattice points with basis coordinates in ±reach."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randint(-reach, reach + 1, (count, lattice.d), generator=generator)
    return z.float() @ lattice.G.T
