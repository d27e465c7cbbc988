"""Which launcher started this process, and torch.distributed started accordingly.

torchrun hands each process RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT. mpirun hands it a rank
and a size under names of its own and no address; init_process_group() here finds one.
"""

import os
import zlib
from typing import NamedTuple

import torch.distributed as dist

_MPI_NAMES = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"),  # Open MPI
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"),  # MPICH
)


class Place(NamedTuple):
    """Where this process stands among those that the launcher started."""

    launcher: str  # "mpirun", "torchrun" or "none"
    rank: int
    size: int
    local_size: int  # processes on this machine


def place() -> Place:
    """Place of this process, from the environment; rank 0 of 1 without a launcher."""
    env = os.environ
    # torchrun inside of mpirun: the innermost launcher counts, and only torchrun sets this one.
    if "TORCHELASTIC_RUN_ID" not in env:
        for rank, size, local in _MPI_NAMES:
            if rank in env and size in env:
                return Place("mpirun", int(env[rank]), int(env[size]), int(env.get(local, 1)))
    if "RANK" in env and "WORLD_SIZE" in env:
        local_size = int(env.get("LOCAL_WORLD_SIZE", 1))
        return Place("torchrun", int(env["RANK"]), int(env["WORLD_SIZE"]), local_size)
    return Place("none", 0, 1, 1)


def _job_port() -> int:
    """A port that ranks of one mpirun agree on and other mpiruns most likely do not.

    Below the range from which systems hand out ports of their own accord (32768 on Linux).
    """
    job = os.environ.get("PMIX_NAMESPACE") or os.environ.get("PMI_JOBID") or str(os.getppid())
    return 10000 + zlib.crc32(job.encode()) % 22000


def init_process_group(backend: str = "gloo", **options: object) -> Place:
    """torch.distributed.init_process_group() for whichever launcher started this process.

    Under mpirun, MASTER_ADDR and MASTER_PORT of the environment are used where set; else all ranks
    must be on one machine, and meet at 127.0.0.1 and a port derived from the job's name.

    Args:
        backend: "gloo", "hlq", …
        options: more of torch.distributed.init_process_group(), such as pg_options or timeout.

    Raises:
        RuntimeError: ranks on several machines, and no MASTER_ADDR.
    """
    here = place()
    if here.launcher == "none":
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1, **options)
        return here
    if here.launcher == "mpirun":
        if here.local_size < here.size and "MASTER_ADDR" not in os.environ:
            raise RuntimeError(
                "ranks are on several machines: set MASTER_ADDR to the address of rank 0's "
                "(mpirun -x MASTER_ADDR=...)"
            )
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", str(_job_port()))
    dist.init_process_group(
        backend, init_method="env://", rank=here.rank, world_size=here.size, **options
    )
    return here
