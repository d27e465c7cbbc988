"""Linear layers that train with quantized weights (QLinear) or hold only codes (PackedLinear)."""

from .config import QuantConfig
from .packed_linear import PackedLinear
from .qlinear import QLinear

__all__ = ["PackedLinear", "QLinear", "QuantConfig"]
