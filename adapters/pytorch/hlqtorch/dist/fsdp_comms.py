"""The collectives that FSDP2 can be given, compressed; and the communicators that they share.

FSDP calls them one at a time and in the same order on all ranks. On host tensors, reduce-scatter
and all-reduce return when they are over, as FSDP asks: they are called without async_op (torch
2.13, foreach_reduce in torch/distributed/fsdp/_fully_shard/_fsdp_collectives.py), and overlap with
backward by streams, of which a CPU has none. An all-gather that FSDP is told to make early, by
unshard(async_op=True), is called with async_op and goes on beside the program. On CUDA tensors they
add their work to the current stream, which FSDP has chosen, and return. What is small, or no sum or
average of floating-point numbers, goes through the process group that FSDP names, exactly as
without.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import torch
import torch.distributed as dist
from torch import Tensor

# Private in torch 2.11 … 2.13, though set_custom_reduce_scatter() and its like are public.
from torch.distributed.fsdp._fully_shard._fsdp_api import AllGather, ReduceScatter

from .._C import Comm, HLQOptions
from .connect import Topology, Transport, connect
from .fsdp_residuals import GroupResidual
from .stats import HLQStats

# Names of torch 2.13; before, only the second ones, which warn in later versions.
_reduce_scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor

_COMPRESSIBLE = (torch.float32, torch.bfloat16, torch.float16)


def _kind(op: dist.ReduceOp | dist.ReduceOp.RedOpType) -> dist.ReduceOp.RedOpType:
    """The bare kind; a ReduceOp may also have a factor and is not hashable by it."""
    return op if isinstance(op, dist.ReduceOp.RedOpType) else op.op


@contextlib.contextmanager
def _refusing(comm: Comm) -> Iterator[None]:
    """Fails the collective that the other ranks are in, if this rank does not get as far."""
    try:
        yield
    except Exception:
        comm.refuse()
        raise


class _Later(dist.Work):
    """A collective that the thread of a link makes."""

    def __init__(self, future: Future[None]) -> None:
        super().__init__()
        self._future = future

    def wait(self, timeout: object = None) -> bool:
        """Returns when it is over; the link's timeout ends it at last.

        Raises:
            HLQError: on every rank, if one failed.
        """
        self._future.result()
        return True

    def is_completed(self) -> bool:
        """Whether it is over, with or without an error."""
        return self._future.done()


class _OnStream(dist.Work):
    """A collective whose work is on the current stream up to here."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device
        self._event = torch.cuda.current_stream(device).record_event()

    def wait(self, timeout: object = None) -> bool:
        """Returns at once; what comes onto the current stream waits for the collective."""
        torch.cuda.current_stream(self._device).wait_event(self._event)
        return True

    def is_completed(self) -> bool:
        """Whether the stream has come there; a failure turns results into NaN."""
        return self._event.query()


def _stream_of(tensor: Tensor) -> int:
    """Where work on a tensor goes: the current stream of its device; 0 for the host."""
    return torch.cuda.current_stream(tensor.device).cuda_stream if tensor.is_cuda else 0


class Link:
    """Communicators of process groups, each made at its first collective; statistics of all.

    What several modules share, so that a group gets one communicator.

    Args:
        transport: "mpi", "nccl", "process_group", or "auto": NCCL where that is a group's backend
            or its first tensor is on a CUDA device, MPI where mpirun started the ranks.
        lattice: as for Comm.
        seed: as for Comm.
        topology: as for HLQState.
        dither: as for HLQState; of gradients, and of parameters where they are compressed.
        threads: as for HLQState.
        timeout: longest wait for another rank, seconds.

    Raises:
        HLQError: libhlqcomm does not know such a value.
    """

    def __init__(
        self,
        transport: Transport = "auto",
        *,
        lattice: str = "E8",
        seed: int = 0,
        topology: Topology = "auto",
        dither: bool = False,
        threads: int = 0,
        timeout: float = 300.0,
    ) -> None:
        self._transport = transport
        self._own = {
            "lattice": lattice,
            "seed": seed,
            "topology": topology,
            "dither": dither,
            "threads": threads,
        }
        self.check()
        # The floor is below; what is above it is to be compressed, alike on every run.
        self._options = self._own | {"min_bytes": 0, "probe": False}
        self._timeout = timeout
        self._comms: dict[dist.ProcessGroup, Comm] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hlqtorch")
        self._last: Future[None] | None = None  # that the thread was given
        self.stats = HLQStats()

    def check(self, **call: float | str) -> None:
        """Raises HLQError now for what would fail at the first collective; talks to nobody."""
        HLQOptions(**self._own, **call)

    def later(self, collective: Callable[[], None]) -> dist.Work:
        """Makes a collective on a thread, after those that it was given before."""
        self._last = self._thread.submit(collective)
        return _Later(self._last)

    def settle(self) -> None:
        """Waits until the thread has made what it was given; errors are for who waits for them."""
        if self._last is not None:
            wait([self._last])
            self._last = None

    def comm(self, group: dist.ProcessGroup, tensor: Tensor) -> Comm:
        """The communicator of a group, for such tensors; collective over it the first time."""
        if group not in self._comms:
            self.settle()
            self._comms[group] = connect(
                group,
                self._transport,
                of_cuda=tensor.is_cuda,
                timeout=self._timeout,
                **self._options,
            )[0]
        return self._comms[group]

    def close(self) -> None:
        """Frees the communicators; collectives afterwards make new ones."""
        self.settle()
        for comm in self._comms.values():
            comm.close()
        self._comms.clear()


class _Compressed:
    """What the three have in common: what a collective may cost, the floor, the link.

    Args:
        bits: budget on the wire, bits per number, everything counted; 1 … 12.
        algorithm: "auto", "oneshot", "modq" or "native"; for HLQAllReduce all that HLQState knows.
        target_nmse: instead of bits, the error ‖sent - exact‖² / ‖exact‖² to aim at. 0: bits.
        max_error: instead of bits, the most that any number may be off by. 0: bits.
        min_bytes: whole tensors (those of all ranks, in an all-gather) of fewer bytes stay exact.
        link: communicators to use; None for own ones.

    Raises:
        ValueError: bits out of range; both a target and a bound.
        HLQError: libhlqcomm does not know such a value, or not together with the link's dither.
    """

    def __init__(
        self,
        bits: float = 4.0,
        algorithm: str = "auto",
        *,
        target_nmse: float = 0.0,
        max_error: float = 0.0,
        min_bytes: int = 65536,
        link: Link | None = None,
    ) -> None:
        if not 1 <= bits <= 12:
            raise ValueError(f"bits is {bits}; it must be 1 … 12")
        if target_nmse > 0 and max_error > 0:
            raise ValueError("target_nmse and max_error are both given")
        given = target_nmse > 0 or max_error > 0
        self._call = {
            "bits": 0.0 if given else float(bits),
            "algorithm": algorithm,
            "target_nmse": target_nmse,
            "max_error": max_error,
        }
        self.min_bytes = min_bytes
        self.link = link if link is not None else Link()
        self.link.check(
            bits=bits, algorithm=algorithm, target_nmse=target_nmse, max_error=max_error
        )

    def stats(self) -> HLQStats:
        """What the compressed collectives of this link did on this rank; a copy."""
        self.link.settle()
        return copy.copy(self.link.stats)

    def allocate(
        self, size: tuple[int, ...], *, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """Memory for FSDP to put tensors in; nothing is asked of it."""
        return torch.empty(*size, dtype=dtype, device=device)

    def _pays(self, whole: Tensor) -> bool:
        is_large = whole.numel() * whole.element_size() >= self.min_bytes
        return is_large and whole.dtype in _COMPRESSIBLE

    def _count(self, comm: Comm, operation: str, count: int, dtype: torch.dtype) -> None:
        plan = comm.plan(count, dtype, op="sum", operation=operation, **self._call)
        self.link.stats.add(comm.stats(), plan)


class HLQReduceScatter(_Compressed, ReduceScatter):
    """Sums or averages gradients, of which every rank keeps its shard, over few bits.

    One object may serve any number of modules, unless it has a residual.

    Args:
        residual: error feedback of the one module it serves; HLQFSDPState makes it.
        bits, algorithm, target_nmse, max_error, min_bytes, link: see _Compressed. Gradients are
            quantized once, on the way to the owner of the shard.

    Raises:
        ValueError: as _Compressed.
    """

    def __init__(
        self,
        bits: float = 4.0,
        algorithm: str = "auto",
        *,
        residual: GroupResidual | None = None,
        **options: object,
    ) -> None:
        super().__init__(bits, algorithm, **options)
        self._residual = residual

    def __call__(
        self,
        output_tensor: Tensor,
        input_tensor: Tensor,
        group: dist.ProcessGroup,
        op: dist.ReduceOp | dist.ReduceOp.RedOpType,
        async_op: bool = False,
    ) -> dist.Work | None:
        """Called by FSDP.

        Args:
            output_tensor: [n], this rank's shard of the result.
            input_tensor: [ranks × n], this rank's gradients; unchanged.
            group: the ranks.
            op: SUM and AVG are compressed; others are the group's to do or refuse.
            async_op: of the exact way only.

        Returns:
            The group's Work, if it was asked to do it; None if all is done.

        Raises:
            HLQError: on every rank, if one failed.
        """
        name = {dist.ReduceOp.SUM: "sum", dist.ReduceOp.AVG: "avg"}.get(_kind(op))
        if name is None or not self._pays(input_tensor):
            return _reduce_scatter(
                output_tensor, input_tensor, op=op, group=group, async_op=async_op
            )
        comm = self.link.comm(group, input_tensor)
        self.link.settle()
        flat = None
        if self._residual is not None:
            with _refusing(comm):
                flat = self._residual.flat(comm.size, input_tensor.numel(), input_tensor.device)
        comm.reduce_scatter(
            input_tensor,
            output_tensor,
            op=name,
            residual=flat,
            stream=_stream_of(input_tensor),
            **self._call,
        )
        self._count(comm, "reduce_scatter", output_tensor.numel(), output_tensor.dtype)
        return None


class HLQAllGather(_Compressed, AllGather):
    """Gathers parameters over few bits: forward and backward see them rounded, all ranks alike.

    The optimizer's shards stay exact. Not a default of anything: rounded weights are another model,
    and fewer than 8 bits are for those who know that theirs bears them.

    Args:
        bits, target_nmse, max_error, min_bytes, link: see _Compressed. "modq" is no algorithm here.
    """

    def __init__(self, bits: float = 8.0, algorithm: str = "auto", **options: object) -> None:
        super().__init__(bits, algorithm, **options)
        if algorithm.lower() == "modq":
            raise ValueError("modq makes sums; an all-gather has none")

    def __call__(
        self,
        output_tensor: Tensor,
        input_tensor: Tensor,
        group: dist.ProcessGroup,
        async_op: bool = False,
    ) -> dist.Work | None:
        """Called by FSDP.

        Args:
            output_tensor: [ranks × n], the shards of all ranks.
            input_tensor: [n], this rank's shard; may lie in its place of output_tensor. Parameters
                of several dtypes come as bytes, which stay exact.
            group: the ranks.
            async_op: return at once.

        Returns:
            With async_op, the Work to wait for; None if all is done.

        Raises:
            HLQError: on every rank, if one failed; with async_op of host tensors, from the Work.
        """
        if not self._pays(output_tensor):
            return _all_gather(output_tensor, input_tensor, group=group, async_op=async_op)
        comm = self.link.comm(group, input_tensor)

        def gather() -> None:
            comm.all_gather(
                input_tensor, output_tensor, stream=_stream_of(input_tensor), **self._call
            )
            self._count(comm, "all_gather", input_tensor.numel(), input_tensor.dtype)

        if async_op and not input_tensor.is_cuda:
            return self.link.later(gather)
        self.link.settle()
        gather()
        return _OnStream(input_tensor.device) if async_op else None


class HLQAllReduce(_Compressed):
    """Averages the shards of gradients over replicas of the model, over few bits.

    For hybrid sharding whose replicas talk over the slow network: give fully_shard() the mesh of
    one replica only, so that torch does no all-reduce of its own, and this as its hook.

    Args:
        group: the ranks that hold the same shard, one of each replica.
        bits, algorithm, target_nmse, max_error, min_bytes, link: see _Compressed.

    Raises:
        ValueError: as _Compressed.
    """

    def __init__(
        self,
        group: dist.ProcessGroup,
        bits: float = 4.0,
        algorithm: str = "auto",
        **options: object,
    ) -> None:
        super().__init__(bits, algorithm, **options)
        self.group = group

    def __call__(self, reduce_output: Tensor) -> None:
        """Called by FSDP: averages [n] over the replicas, in place.

        Raises:
            HLQError: on every rank, if one failed.
        """
        if not self._pays(reduce_output):
            # Not AVG, which gloo lacks in older versions of torch.
            dist.all_reduce(reduce_output, group=self.group)
            reduce_output.div_(self.group.size())
            return
        comm = self.link.comm(self.group, reduce_output)
        self.link.settle()
        comm.all_reduce(
            reduce_output, reduce_output, op="avg", stream=_stream_of(reduce_output), **self._call
        )
        self._count(comm, "all_reduce", reduce_output.numel(), reduce_output.dtype)
