"""Backend ``hlq`` of torch.distributed: registered by ``import hlqtorch``.

    dist.init_process_group("hlq", pg_options=hlqtorch.HLQOptions(bits=4))

Exact, and bit for bit what gloo (or NCCL) gives, unless told otherwise; then sums and averages of
floating-point tensors above a size are compressed: those of the host by a thread, those of CUDA
devices, over NCCL, on a stream. C++ (csrc/backend.h) does the collectives;
here is what happens once per group: the inner backends, the check that all ranks were told the
same, and the communicator, made at the first compressed call.
"""

import contextlib
import datetime
import hashlib
import logging
import os
from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import Backend
from torch.distributed import PrefixStore, Store

from .. import _C, errors
from .._C import Comm, HLQBackend, HLQOptions
from .connect import nccl_comm
from .launcher import place
from .stats import HLQStats

_log = logging.getLogger(__name__)

#: Environment variables that opt in without a change of the program, and what they are read as.
ENVIRONMENT = {
    "HLQ_BITS": ("bits", float),
    "HLQ_TARGET_NMSE": ("target_nmse", float),
    "HLQ_MAX_ERROR": ("max_error", float),
    "HLQ_ALGORITHM": ("algorithm", str),
    "HLQ_MIN_BYTES": ("min_bytes", int),
}
_OPTING_IN = ("HLQ_BITS", "HLQ_TARGET_NMSE", "HLQ_MAX_ERROR")


def options_from_environment() -> HLQOptions:
    """What groups made without HLQOptions do: exact, unless a variable of _OPTING_IN is set.

    Raises:
        ValueError: a variable cannot be read, or libhlqcomm would refuse its value.
    """
    if not any(os.environ.get(name) for name in _OPTING_IN):
        return HLQOptions.exact()
    options: dict[str, float | int | str] = {}
    for name, (option, read) in ENVIRONMENT.items():
        text = os.environ.get(name)
        if not text:
            continue
        try:
            options[option] = read(text)
        except ValueError as error:
            raise ValueError(f"{name}={text} is not a number") from error
    return HLQOptions(**options)


@contextlib.contextmanager
def compressed(
    bits: float = 4.0,
    *,
    algorithm: str = "auto",
    target_nmse: float = 0.0,
    max_error: float = 0.0,
    min_bytes: int = 65536,
    all_gather: bool = False,
) -> Iterator[None]:
    """Compresses the collectives that start inside, in all groups of backend ``hlq``.

    All ranks enter and leave it at the same place of the program: a rank that calls outside what
    others call inside, and they, wait for each other until the group's timeout. Those inside then
    raise an HLQTimeoutError that says so, those outside gloo's error, which does not: what is exact
    is gloo's alone, and asks nobody whether others compress. It holds for all
    threads of the process, since autograd calls collectives from its own; of several entered, the
    last rules. Lattice, seed, topology, dither and threads are the group's own.

    Args:
        bits: budget on the wire, bits per number; 1 … 12.
        algorithm: "auto", "twoshot", "oneshot", "modq", "hierarchical" or "native".
        target_nmse: instead of bits, the error to aim at.
        max_error: instead of bits, the most that any number may be off by.
        min_bytes: inputs of fewer bytes stay exact.
        all_gather: compress all-gathers too.

    Raises:
        HLQError: libhlqcomm does not know such a value.
    """
    options = HLQOptions(
        bits=bits,
        algorithm=algorithm,
        target_nmse=target_nmse,
        max_error=max_error,
        min_bytes=min_bytes,
        all_gather=all_gather,
    )
    ticket = _C.enter_mode(options)
    try:
        yield
    finally:
        _C.leave_mode(ticket)


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """The opposite of compressed(): what starts inside is exact, whatever the groups were told."""
    ticket = _C.enter_exact()
    try:
        yield
    finally:
        _C.leave_mode(ticket)


def _backend_of(group: dist.ProcessGroup | None) -> HLQBackend:
    group = group if group is not None else dist.group.WORLD
    if group is None:
        raise RuntimeError("call torch.distributed.init_process_group() first")
    for device in group._device_types:
        backend = group._get_backend(device)
        # TORCH_DISTRIBUTED_DEBUG=DETAIL wraps backends.
        backend = getattr(backend, "wrapped_pg", backend)
        if isinstance(backend, HLQBackend):
            return backend
    raise ValueError(f"the group has no backend 'hlq' but '{dist.get_backend(group)}'")


def stats(group: dist.ProcessGroup | None = None) -> HLQStats:
    """What compressed collectives of a group did on this rank, summed up; a copy.

    Args:
        group: of backend ``hlq``; None for the default group.

    Raises:
        ValueError: the group has another backend.
    """
    return HLQStats(**_backend_of(group).totals())


def reset_stats(group: dist.ProcessGroup | None = None) -> None:
    """Sets the statistics of a group to zero."""
    _backend_of(group).reset_totals()


class _Makers:
    """What C++ calls back for; makes inner backends and communicators. All are collective."""

    @staticmethod
    def inner(store: Store, rank: int, size: int, timeout: float) -> dict[str, Backend]:
        """Inner backends by type of device: gloo, and NCCL where this torch and machine have it."""
        duration = datetime.timedelta(seconds=timeout)
        gloo = dist.ProcessGroupGloo(PrefixStore("gloo", store), rank, size, timeout=duration)
        gloo._set_sequence_number_for_group()
        backends = {"cpu": gloo}
        if dist.is_nccl_available() and torch.cuda.is_available():
            options = dist.ProcessGroupNCCL.Options()
            options._timeout = duration
            backends["cuda"] = dist.ProcessGroupNCCL(
                PrefixStore("nccl", store), rank, size, options
            )
        return backends

    @staticmethod
    def comm(
        store: Store,
        rank: int,
        ranks: Sequence[int],
        transport: str,
        timeout: float,
        **options: str | int,
    ) -> Comm:
        """A communicator over `ranks` of the default group, of which this is the rank-th.

        Over MPI, or over a gloo of its own: messages come from a thread of their own and would
        otherwise meet the program's in another order on each rank.
        """
        # Another connection: waiting for a key must not keep the program from its own.
        store = PrefixStore("hlq", store).clone()
        duration = datetime.timedelta(seconds=timeout)
        store.set_timeout(duration)
        _meet(store, rank, ranks)
        # The backend has a floor of its own, and what is above it was decided to be compressed.
        options |= {"timeout": timeout, "min_bytes": 0, "probe": False}
        if transport != "process_group":
            if _all_agree(store, "mpi", _mpi_fits(ranks), len(ranks)) and _all_agree(
                store, "threads", _C.mpi_start(), len(ranks)
            ):
                return Comm.mpi(ranks, tag=_agreed_tag(store, rank), **options)
            if transport == "mpi":
                raise ValueError(
                    "transport 'mpi' needs processes started by mpirun, each with the same rank "
                    "in torch.distributed as in MPI, and an MPI with MPI_THREAD_MULTIPLE"
                )
        carrier = dist.ProcessGroupGloo(store, rank, len(ranks), timeout=duration)
        return Comm.backend(carrier, **options)

    @staticmethod
    def cuda_comm(
        store: Store,
        rank: int,
        ranks: Sequence[int],
        inner: Backend,
        device: int,
        timeout: float,
        **options: str | int,
    ) -> Comm:
        """A communicator for tensors of a CUDA device, over the NCCL of an inner backend.

        Split off from it: what is exact and what is compressed do not meet.
        """
        store = PrefixStore("hlq-cuda", store).clone()
        store.set_timeout(datetime.timedelta(seconds=timeout))
        _meet(store, rank, ranks)
        if not _all_agree(store, "nccl", bool(_C.nccl_library()), len(ranks)):
            raise errors.HLQUnsupportedError(
                "CUDA tensors are compressed over NCCL, which libhlqcomm does not find on all "
                "ranks; python -m hlqtorch.doctor tells of one of them"
            )
        with torch.cuda.device(device):
            made = nccl_comm(inner)
            return Comm.nccl(made, timeout=timeout, min_bytes=0, probe=False, **options)


def _meet(store: Store, rank: int, ranks: Sequence[int]) -> None:
    """Waits until all ranks have come to make a communicator, so as to name those that do not.

    Raises:
        HLQTimeoutError: some did not within the store's timeout.
    """
    store.set(f"here/{rank}", "")
    keys = [f"here/{one}" for one in range(len(ranks))]
    try:
        store.wait(keys)
    except RuntimeError:  # of every kind of store
        missing = [one for one, key in zip(ranks, keys, strict=True) if not store.check([key])]
        if not missing:
            raise
        raise errors.HLQTimeoutError(
            f"ranks {missing} did not come to the group's first compressed collective within "
            f"{store.timeout.total_seconds():g} s"
        ) from None


def _mpi_fits(ranks: Sequence[int]) -> bool:
    """Whether a communicator over these ranks can be made by MPI, as far as this rank knows.

    Starting MPI takes all ranks of the job, so a group of some needs it started.
    """
    here = place()
    if here.launcher != "mpirun" or not _C.mpi_library():
        return False
    if (here.rank, here.size) != (dist.get_rank(), dist.get_world_size()):
        return False
    return len(ranks) == here.size or _C.mpi_is_running()


def _all_agree(store: Store, question: str, answer: bool, ranks: int) -> bool:
    """Whether all ranks answer yes. The last one to answer tells the others."""
    yes = store.add(f"{question}/yes", int(answer))
    if store.add(f"{question}/answers", 1) == ranks:
        yes = store.add(f"{question}/yes", 0)
        store.set(f"{question}/all", str(int(yes == ranks)))
    return store.get(f"{question}/all") == b"1"


def _agreed_tag(store: Store, rank: int) -> int:
    """A number for this group's communicator that others of the job do not have.

    Every group has a thread, so that MPI may be making communicators for several at a time.
    """
    if rank == 0:
        root = store
        while isinstance(root, PrefixStore):
            root = root.underlying_store
        store.set("tag", str(root.add("hlq/tags", 1) % 32768))
    return int(store.get("tag"))


def _check_options(gloo: dist.ProcessGroupGloo, options: HLQOptions) -> None:
    """Raises on every rank if the ranks of a group were given different options."""
    text = str(options)
    mine = torch.frombuffer(bytearray(hashlib.sha256(text.encode()).digest()), dtype=torch.uint8)
    digests = [torch.empty_like(mine) for _ in range(gloo.size())]
    gloo.allgather([digests], [mine]).wait()
    different = [rank for rank, digest in enumerate(digests) if not torch.equal(digest, digests[0])]
    if different:
        raise ValueError(
            f"ranks {different} of the group were given other options of backend hlq than rank 0; "
            f"this rank: {text}"
        )


def _create(
    given: dist.distributed_c10d._DistributedBackendOptions, options: HLQOptions | None
) -> HLQBackend:
    """What torch calls for every new group of backend ``hlq``; collective over its ranks."""
    if options is None:
        options = options_from_environment()
    if not isinstance(options, HLQOptions):
        raise TypeError(
            "pg_options of backend hlq must be hlqtorch.HLQOptions, not " + type(options).__name__
        )
    rank, size = given.group_rank, given.group_size
    ranks = list(given.global_ranks_in_group) or list(range(size))
    inner = _Makers.inner(given.store, rank, size, given.timeout.total_seconds())
    _check_options(inner["cpu"], options)
    return HLQBackend(given.store, rank, ranks, inner, options, given.timeout, _Makers)


def register() -> None:
    """Makes backend ``hlq`` known to torch.distributed; harmless when repeated."""
    if dist.is_available() and "hlq" not in dist.Backend.backend_list:
        dist.Backend.register_backend("hlq", _create, extended_api=True, devices=["cpu", "cuda"])
