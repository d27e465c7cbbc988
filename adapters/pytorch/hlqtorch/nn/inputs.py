"""What QLinear and PackedLinear do with their input before they work on it."""

import torch
from torch import Tensor

from ..ops import check_vectors


def check_input(x: Tensor, in_features: int) -> None:
    """Raises ValueError for what no linear layer of so many features takes."""
    check_vectors("x", x, 1)
    if x.shape[-1] != in_features:
        raise ValueError(f"x of shape {list(x.shape)} must have a last dimension of {in_features}")


def autocast(x: Tensor) -> Tensor:
    """What nn.Linear would see of x under torch.autocast."""
    kind = "cuda" if x.device.type == "cuda" else "cpu"
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x
