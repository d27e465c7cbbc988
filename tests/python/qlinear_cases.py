"""Options of layers, and what the tests of hlqtorch.nn share."""

import sys
from collections.abc import Callable

import pytest
import torch
from hlqtorch.lattices import Zd
from torch import Tensor, nn

# Options of layers that can be packed, with in_features that are no multiple of d.
PACKABLE = {
    "default": {},
    "shallow": {"M": 1},
    "deep": {"M": 4},
    "e8": {"d": 8, "q": 2, "M": 3, "centred": True},
    "z1": {"d": 1, "q": 16, "M": 1},
    "z4": {"lattice": Zd(4), "q": 3},
    "activations": {"quantize_activations": True},
    "lut": {"use_lut_mac": True},
    "lut_activations": {"use_lut_mac": True, "quantize_activations": True, "activation_M": 3},
}
OPTIONS = PACKABLE | {
    "e8_q4": {"d": 8},
    "odd": {"q": 5},
    "only_activations": {"quantize_weights": False, "quantize_activations": True},
    "nothing": {"quantize_weights": False},
    "every": {"quantize_every": 3},
}
each_packable = pytest.mark.parametrize("options", PACKABLE.values(), ids=PACKABLE)
each_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def float_layer(bias: bool = True) -> nn.Linear:
    return nn.Linear(50, 24, bias=bias)


def relative_error(y: Tensor, exact: Tensor) -> float:
    return ((y - exact).square().sum() / exact.square().sum()).item()


def compile_to_one_graph(function: Callable) -> Callable:
    """torch.compile() to one graph; with inductor, which does not quote paths for its compiler."""
    backend = "aot_eager" if " " in sys.prefix else "inductor"
    return torch.compile(function, fullgraph=True, backend=backend)
