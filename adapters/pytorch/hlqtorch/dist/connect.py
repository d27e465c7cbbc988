"""From a process group to a communicator of libhlqcomm over the same ranks."""

import datetime
from collections import Counter
from typing import Literal

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import Backend

from .._C import Comm, HLQBackend, mpi_has_cuda
from .launcher import place

Transport = Literal["auto", "mpi", "nccl", "process_group"]
Topology = Literal["auto", "all_to_all", "ring"]

#: How many were made over the same ranks; the same on all of these, as all make them together.
_made: Counter[str] = Counter()

#: Those of communicators that could not be made: others may still be connecting to them.
_refused: list[dist.ProcessGroupGloo] = []


def _mpi_fits() -> bool:
    """Whether mpirun started this process and its ranks are those of torch.distributed."""
    here = place()
    return here.launcher == "mpirun" and (here.rank, here.size) == (
        dist.get_rank(),
        dist.get_world_size(),
    )


def _gloo_of_its_own(ranks: list[int], timeout: datetime.timedelta) -> dist.ProcessGroupGloo:
    """A new gloo over ranks of the default group, made by these alone.

    Not by dist.new_group(use_local_synchronization=True): there, ranks meet by a name that counts
    the groups that a rank is in, and wait in vain where these numbers differ.
    """
    members = "_".join(map(str, ranks))
    _made[members] += 1
    store = dist.PrefixStore(
        f"hlq/{members}/{_made[members]}", dist.distributed_c10d._get_default_store()
    )
    return dist.ProcessGroupGloo(store, ranks.index(dist.get_rank()), len(ranks), timeout=timeout)


def _is_of_cuda(group: dist.ProcessGroup | None) -> bool:
    """Whether the group's only tensors are those of CUDA devices."""
    return str(dist.get_backend(group)) == "nccl"


def nccl_comm(backend: Backend) -> int:
    """The backend's ncclComm_t, for the current device. Collective: its first use makes it.

    Raises:
        ValueError: it is none of NCCL, or torch does not show its communicator.
    """
    show = getattr(backend, "_comm_ptr", None)
    if show is None:
        raise ValueError(
            f"transport 'nccl' needs a process group over NCCL and torch 2.8 or newer; this is "
            f"{type(backend).__name__} of torch {torch.__version__}"
        )
    backend.allreduce([torch.zeros(1, device="cuda")]).wait()
    return int(show())


def _backend_of_cuda(group: dist.ProcessGroup | None) -> Backend:
    if not torch.cuda.is_available() or not dist.is_nccl_available():
        raise ValueError("transport 'nccl' needs a GPU and a torch with NCCL; there is none here")
    chosen = group if group is not None else dist.group.WORLD
    backend = chosen._get_backend(torch.device("cuda"))
    # TORCH_DISTRIBUTED_DEBUG=DETAIL wraps backends.
    backend = getattr(backend, "wrapped_pg", backend)
    return backend.inner("cuda") if isinstance(backend, HLQBackend) else backend


def connect(
    group: dist.ProcessGroup | None = None,
    transport: Transport = "auto",
    *,
    of_cuda: bool = False,
    timeout: float = 300.0,
    **options: float | str,
) -> tuple[Comm, str]:
    """Makes a communicator over the ranks of a process group. Collective over the group.

    Over a process group, messages travel on a new gloo group of the same ranks: they come from a
    thread of their own and would otherwise meet the program's, in another order on each rank.

    Args:
        group: the ranks; None for all.
        transport: "mpi", "nccl", "process_group", or "auto": NCCL if that is the group's backend,
            MPI if mpirun started all ranks of the group. Over NCCL, tensors are on CUDA devices.
        of_cuda: tensors will be on CUDA devices, for which "auto" is NCCL, and "mpi" goes by way of
            the host unless MPI itself takes memory of devices.
        timeout: longest wait for another rank, seconds.
        options: of the communicator, as for Comm.mpi.

    Returns:
        The communicator, and the transport chosen.

    Raises:
        RuntimeError: torch.distributed is not initialized.
        ValueError: no such transport; ranks of MPI and of torch.distributed differ; no NCCL.
        HLQError: the communicator could not be made.
    """
    if transport not in ("auto", "mpi", "nccl", "process_group"):
        raise ValueError(
            f"transport '{transport}' does not exist; there is auto, mpi, nccl, process_group"
        )
    if not dist.is_initialized():
        raise RuntimeError("call torch.distributed.init_process_group() first")
    ranks = dist.get_process_group_ranks(group if group is not None else dist.group.WORLD)
    if transport == "nccl" or (transport == "auto" and (of_cuda or _is_of_cuda(group))):
        backend = _backend_of_cuda(group)
        return Comm.nccl(nccl_comm(backend), timeout=timeout, **options), "nccl"
    if transport != "process_group":
        fits: list[bool | None] = [None] * len(ranks)
        fits_here = _mpi_fits() and (mpi_has_cuda() or not of_cuda)
        dist.all_gather_object(fits, fits_here, group=group)
        if all(fits):
            return Comm.mpi(ranks, of_cuda=of_cuda, timeout=timeout, **options), "mpi"
        if transport == "mpi":
            cuda = ", and libhlqcomm with MPI and CUDA" if of_cuda else ""
            raise ValueError(
                "transport 'mpi' needs processes started by mpirun, each with the same rank in "
                f"torch.distributed as in MPI{cuda}; not so for ranks "
                f"{[rank for rank, fit in zip(ranks, fits, strict=True) if not fit]}"
            )
    carrier = _gloo_of_its_own(ranks, datetime.timedelta(seconds=timeout))
    try:
        return Comm.backend(carrier, timeout=timeout, **options), "process_group"
    except Exception:
        _refused.append(carrier)
        raise
