"""From a process group to a communicator of libhlqcomm over the same ranks."""

import datetime
from typing import Literal

import torch.distributed as dist

from .._C import Comm
from .launcher import place

Transport = Literal["auto", "mpi", "process_group"]


def _mpi_fits() -> bool:
    """Whether mpirun started this process and its ranks are those of torch.distributed."""
    here = place()
    return here.launcher == "mpirun" and (here.rank, here.size) == (
        dist.get_rank(),
        dist.get_world_size(),
    )


def connect(
    group: dist.ProcessGroup | None = None,
    transport: Transport = "auto",
    *,
    timeout: float = 300.0,
    **options: float | str,
) -> tuple[Comm, str]:
    """Makes a communicator over the ranks of a process group. Collective over the group.

    Over a process group, messages travel on a new gloo group of the same ranks: they come from a
    thread of their own and would otherwise meet the program's, in another order on each rank.

    Args:
        group: the ranks; None for all.
        transport: "mpi", "process_group", or "auto": MPI if mpirun started all ranks of the group.
        timeout: longest wait for another rank, seconds.
        options: of the communicator, as for Comm.mpi.

    Returns:
        The communicator, and the transport chosen.

    Raises:
        RuntimeError: torch.distributed is not initialized.
        ValueError: no such transport; ranks of MPI and of torch.distributed differ.
        HLQError: the communicator could not be made.
    """
    if transport not in ("auto", "mpi", "process_group"):
        raise ValueError(
            f"transport '{transport}' does not exist; there is auto, mpi, process_group"
        )
    if not dist.is_initialized():
        raise RuntimeError("call torch.distributed.init_process_group() first")
    ranks = dist.get_process_group_ranks(group if group is not None else dist.group.WORLD)
    if transport != "process_group":
        fits: list[bool | None] = [None] * len(ranks)
        dist.all_gather_object(fits, _mpi_fits(), group=group)
        if all(fits):
            return Comm.mpi(ranks, timeout=timeout, **options), "mpi"
        if transport == "mpi":
            raise ValueError(
                "transport 'mpi' needs processes started by mpirun, each with the same rank in "
                f"torch.distributed as in MPI; not so for ranks "
                f"{[rank for rank, fit in zip(ranks, fits, strict=True) if not fit]}"
            )
    own = dist.new_group(
        ranks,
        backend="gloo",
        timeout=datetime.timedelta(seconds=timeout),
        use_local_synchronization=True,
    )
    return Comm.process_group(own, timeout=timeout, **options), "process_group"
