"""libhlqcomm for PyTorch: collectives over few bits per number, and quantized layers.

Start with ``hlqtorch.dist.comm_hooks``: one line makes DistributedDataParallel use it. Importing
this package registers backend ``hlq`` of torch.distributed, with ``HLQOptions`` and ``compressed``
(``hlqtorch.dist.backend``). ``Comm`` is the layer below, an all-reduce of one tensor. Errors are in
``hlqtorch.errors``.

Quantization: ``hlqtorch.lattices``, ``hlqtorch.quant`` (encode, decode, look-up tables),
``hlqtorch.nn`` (QLinear), ``hlqtorch.quantize`` (whole models).
"""

import atexit
import sys
from pathlib import Path

import torch


def _why_not(error: ImportError) -> str:
    """What to tell someone whose ``hlqtorch._C`` cannot be imported."""
    build = (
        "build it with `pip install --no-build-isolation --no-deps ./adapters/pytorch` in the "
        "repository of libhlqcomm, after building libhlqcomm itself (launch/env does both)"
    )
    if not list(Path(__file__).parent.glob("_C.*.so")):
        return f"hlqtorch: the compiled extension is missing; {build}"
    return (
        f"hlqtorch: the compiled extension does not load ({error}); it must be built for this "
        f"Python and this torch, {torch.__version__}; {build}"
    )


try:
    # Needs torch's libraries, which the import of torch above has loaded.
    from . import _C, ops
    from ._C import Comm, HLQOptions
    from .dist.backend import compressed, exact, register, reset_stats, stats
    from .errors import HLQError
except ImportError as error:
    raise ImportError(_why_not(error)) from error

__version__: str = _C.version()
__all__ = [
    "Comm",
    "HLQError",
    "HLQOptions",
    "__version__",
    "compressed",
    "exact",
    "ops",
    "reset_stats",
    "stats",
]

register()


def _finish() -> None:
    """Ends threads and MPI in good order, unless an exception ended the program.

    MPI_Finalize waits for the other ranks, and they may be waiting for this one. A rank that exits
    without it makes mpirun end the job, which is what a failed rank should do.
    """
    failed = getattr(sys, "last_value", None) is not None
    _C.finish_backends(at_once=failed)
    if not failed:
        _C.mpi_finish()


atexit.register(_finish)
