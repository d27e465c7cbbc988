"""The DDP communication hook: gradients averaged by libhlqcomm.

    state = HLQState(bits=4)
    model.register_comm_hook(state, hlq_ddp_comm_hook)

DDP calls the hook during backward, once per bucket, in the same order on all ranks. The hook hands
the bucket to the state's one thread and returns a future; the thread runs the all-reduces one after
another while backward goes on. Over NCCL there is no thread: the hook puts the all-reduce onto a
stream of its own, beside those of backward, and its future is complete when that is. (No
`from __future__ import annotations` here: DDP compares the hook's annotations with the types
themselves.)
"""

import copy
import fnmatch
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import torch
import torch.distributed as dist
from torch import Tensor

from .. import _C
from ..errors import HLQError
from .buckets import Part, Residuals, cut
from .connect import Topology, Transport, connect
from .reshard import check_owner
from .stats import HLQStats

_log = logging.getLogger(__name__)

#: Patterns of parameter names (fnmatch), or a function of name and parameter.
Exempt = Iterable[str] | Callable[[str, Tensor], bool]


class HLQState:
    """What the hook keeps between calls: communicator, error feedback, statistics.

    Making one is collective: all ranks of the group do it, with the same arguments.

    Args:
        process_group: the ranks to average over; None for all. Give DDP the same.
        bits: budget on the wire, bits per number, everything counted; 1 … 12. May be changed later,
            on all ranks alike, by setting the attribute.
        algorithm: "auto", "twoshot", "oneshot", "modq", "hierarchical" or "native". "auto" measures
            once whether compressing pays on this machine and network, and does not where it does
            not; then results may differ between runs by how that came out.
        error_feedback: keep what was not sent, and add it to the next gradient.
        exempt: parameters whose gradients travel in fp32: patterns of names such as "*.bias" (needs
            named_parameters), or a function of name and parameter. The same on all ranks. None by
            default: on examples/train_bytes.py, biases, norms or embeddings in fp32 change the
            loss by less than other seeds do, for 6 to 43 % more bytes.
        exempt_below_dim: parameters of fewer dimensions are exempt too; 2: biases and norms.
        layer_bits: bits of some parameters' own: patterns of names (needs named_parameters), each
            with 1 … 12; the first that fits rules. In a bucket, parameters of the same bits are one
            collective; "auto" sends those of less than min_bytes in fp32.
        start_step: the first so many steps are exact. A step is a backward pass that averages:
            those within no_sync() do not count.
        transport: "mpi", "nccl", "process_group", or "auto": NCCL where that is the group's
            backend or gradients are on CUDA devices, MPI where mpirun started the ranks. For
            gradients on CUDA devices there is neither modq, target_nmse nor max_error.
        named_parameters: model.named_parameters(). Gives residuals lasting names in state_dict();
            without it they are called "bucket0.1" after their first place, which is the same again
            for the same model and bucket sizes.
        target_nmse: instead of bits, the error ‖sent - exact‖² / ‖exact‖² to aim at: every bucket
            gets the bits that takes, 1 … 12, or goes uncompressed if 12 are not enough. 0: bits.
        max_error: instead of bits, the most that any averaged gradient may be off by, in the
            gradients' unit; then stats().plan_bytes is the most that could be sent. 0: bits.
        topology: who sends to whom in modq: "all_to_all" ("auto"), or "ring": to the next rank
            only. The bits of results are the same.
        dither: move what is coded by random amounts, which decoding takes back: the error of every
            gradient has mean 0 over steps, without memory, but is larger at each (1.5 to 3 times at
            4 bits, squared). For those who do without error_feedback, whose mean error is smaller.
            From 2.4 bits on; not with modq or max_error.
        threads: that code and decode on this rank, 1 … 256, beside those of torch that go on with
            backward. The bits of results are the same. 0: as HLQ_THREADS says, else 1.
        lattice, seed, min_bytes, timeout: as for Comm.mpi.

    Attributes:
        transport: the transport chosen, "mpi", "nccl" or "process_group".
        steps: how many were averaged.

    Raises:
        ValueError: patterns of names and no names; layer_bits or start_step out of range.
        HLQError: libhlqcomm does not know such a value, or the ranks differ in one.

    With torch.amp.GradScaler, all ranks see the same NaN or Inf and skip the same steps; residuals
    are in units of the scale, so hand scale_residuals() its changes.

    Thread safety: reduce() is DDP's to call; everything else between backward passes.
    """

    def __init__(
        self,
        process_group: dist.ProcessGroup | None = None,
        bits: float = 4.0,
        algorithm: str = "auto",
        error_feedback: bool = True,
        exempt: Exempt = (),
        *,
        transport: Transport = "auto",
        named_parameters: Iterable[tuple[str, Tensor]] | None = None,
        exempt_below_dim: int = 0,
        layer_bits: Mapping[str, float] | None = None,
        start_step: int = 0,
        target_nmse: float = 0.0,
        max_error: float = 0.0,
        lattice: str = "E8",
        seed: int = 0,
        min_bytes: int = 65536,
        topology: Topology = "auto",
        dither: bool = False,
        threads: int = 0,
        timeout: float = 300.0,
    ) -> None:
        self.process_group = process_group
        self.bits = bits
        self.algorithm = algorithm
        self.error_feedback = error_feedback
        self.transport = self._asked_transport = transport
        self.exempt = exempt if callable(exempt) else tuple(exempt)
        self.exempt_below_dim = exempt_below_dim
        self.layer_bits = dict(layer_bits or {})
        self.start_step = start_step
        self.steps = 0
        self._options = {
            "target_nmse": target_nmse,
            "max_error": max_error,
            "lattice": lattice,
            "seed": seed,
            "min_bytes": min_bytes,
            "topology": topology,
            "dither": dither,
            "threads": threads,
            "timeout": timeout,
        }
        self._names = {parameter: name for name, parameter in named_parameters or ()}
        self._check_numbers()
        self._check_names()
        self._residuals = Residuals()
        self._stats = HLQStats()
        self._restart()
        self._connect()

    def _restart(self) -> None:
        """Sets what belongs to this process and is never saved."""
        self._comm: _C.Comm | None = None
        self._buckets: dict[int, tuple[list[Tensor], list[Part]]] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hlqtorch")
        self._stream: torch.cuda.Stream | None = None

    def _connect(self, of_cuda: bool = False) -> None:
        """Makes the communicator; collective."""
        self._comm, self.transport = connect(
            self.process_group,
            self._asked_transport,
            of_cuda=of_cuda,
            bits=self.bits,
            algorithm=self.algorithm,
            **self._options,
        )

    def close(self) -> None:
        """Waits for the collectives under way and frees the communicator."""
        self._thread.shutdown()
        if self._comm is not None:
            self._comm.close()

    # Names and exemptions

    def name_parameters(self, named_parameters: Iterable[tuple[str, Tensor]]) -> None:
        """Names parameters anew: after unpickling, which forgets which tensor had which name."""
        self._names = {parameter: name for name, parameter in named_parameters}

    def _name_of(self, parameter: Tensor) -> str:
        return self._names[parameter]

    def _name_unnamed(self, index: int, parameters: list[Tensor]) -> None:
        for position, parameter in enumerate(parameters):
            self._names.setdefault(parameter, f"bucket{index}.{position}")

    def _check_numbers(self) -> None:
        for pattern, bits in self.layer_bits.items():
            if not 1 <= bits <= 12:
                raise ValueError(f"layer_bits of {pattern!r} is {bits}; it must be 1 … 12")
        if self.start_step < 0:
            raise ValueError(f"start_step is {self.start_step}; it must not be negative")

    def _check_names(self) -> None:
        patterns = {
            "exempt": self.exempt and not callable(self.exempt),
            "layer_bits": self.layer_bits,
        }
        for option, given in patterns.items():
            if given and not self._names:
                raise ValueError(
                    f"{option} has patterns of names but there are no names; pass "
                    "named_parameters=model.named_parameters()"
                )

    def _is_exempt(self, parameter: Tensor) -> bool:
        if parameter.dim() < self.exempt_below_dim:
            return True
        name = self._name_of(parameter)
        if callable(self.exempt):
            return bool(self.exempt(name, parameter))
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.exempt)

    def _bits_of(self, parameter: Tensor) -> float | None:
        """What cut() asks: None if exempt, bits of the parameter's own, or 0."""
        if self._is_exempt(parameter):
            return None
        name = self._name_of(parameter)
        own = (b for p, b in self.layer_bits.items() if fnmatch.fnmatchcase(name, p))
        return float(next(own, 0.0))

    # One bucket

    def reduce(self, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
        """Averages a bucket over the ranks, in place; called by the hook."""
        if isinstance(bucket, tuple):
            raise NotImplementedError(
                "torch._dynamo.config.optimize_ddp = 'python_reducer' calls the hook with single "
                "gradients; hlq_ddp_comm_hook works on buckets, so use 'ddp_optimizer'"
            )
        is_cuda = bucket.buffer().is_cuda
        if self._comm is None:
            self._check_names()  # unpickled: the constructor, which does this, was not called
            self._connect(is_cuda)
        elif is_cuda and not self._comm.has_cuda and self._asked_transport != "process_group":
            self._comm.close()  # made where only the group was known
            self._connect(is_cuda)
        exact = self.steps < self.start_step
        self.steps += bucket.is_last()
        if is_cuda:
            return self._reduce_on_stream(bucket, exact)
        future: torch.futures.Future[torch.Tensor] = torch.futures.Future()
        # The bucket itself lives only as long as this call.
        self._thread.submit(
            self._reduce, bucket.index(), bucket.parameters(), bucket.buffer(), exact, future
        )
        return future

    def _reduce(
        self,
        index: int,
        parameters: list[Tensor],
        buffer: Tensor,
        exact: bool,
        future: torch.futures.Future[torch.Tensor],
    ) -> None:
        try:
            with torch.no_grad():
                for part in self._parts(index, parameters, buffer.numel()):
                    self._reduce_part(part, buffer, exact)
            future.set_result(buffer)
        except HLQError as error:
            _C.fail(future, error)
        except Exception as error:
            try:
                self._comm.refuse()
            finally:
                _C.fail(future, error)

    def _reduce_on_stream(
        self, bucket: dist.GradBucket, exact: bool
    ) -> torch.futures.Future[torch.Tensor]:
        """Puts the bucket's all-reduces onto a stream of their own, behind what wrote it.

        The future's result comes with that stream's position, for which DDP's own streams wait. An
        all-reduce that fails later has made NaN of its results, and is raised at the next bucket.
        """
        buffer = bucket.buffer()
        if self._stream is None:
            self._stream = torch.cuda.Stream(buffer.device)
        future: torch.futures.Future[torch.Tensor] = torch.futures.Future(devices=[buffer.device])
        self._comm.check()
        self._stream.wait_stream(torch.cuda.current_stream(buffer.device))
        with torch.cuda.stream(self._stream), torch.no_grad():
            parts = self._parts(bucket.index(), bucket.parameters(), buffer.numel())
            for part in parts:
                self._reduce_part(part, buffer, exact, self._stream.cuda_stream)
            buffer.record_stream(self._stream)
            future.set_result(buffer)
        return future

    def _parts(self, index: int, parameters: list[Tensor], numel: int) -> list[Part]:
        known, parts = self._buckets.get(index, ([], []))
        same = len(known) == len(parameters) and all(
            old is new for old, new in zip(known, parameters, strict=True)
        )
        if not same:
            self._name_unnamed(index, parameters)
            parts = cut(parameters, self._bits_of, self._residual_of)
            if sum(part.numel for part in parts) != numel:
                raise RuntimeError("a bucket of DDP holds more than its parameters' gradients")
            self._buckets[index] = (parameters, parts)
        return parts

    def _residual_of(self, parameters: list[Tensor]) -> Tensor | None:
        return self._residuals.flat(parameters, self._name_of) if self.error_feedback else None

    def _reduce_part(self, part: Part, buffer: Tensor, exact: bool, stream: int = 0) -> None:
        packed = part.pack(buffer)
        # 0: what the communicator was told, which is the target or the bound.
        common = self._options["target_nmse"] > 0 or self._options["max_error"] > 0
        bits = part.bits or (0.0 if common else self.bits)
        algorithm = "native" if exact or part.exempt else "auto"
        call = {"op": "avg", "bits": bits, "algorithm": algorithm}
        self._comm.all_reduce(packed, packed, residual=part.residual, stream=stream, **call)
        plan = self._comm.plan(packed.numel(), packed.dtype, **call)
        self._stats.add(self._comm.stats(), plan)
        part.unpack(packed, buffer)

    # Statistics, saving

    def stats(self) -> HLQStats:
        """What the hook did since the start or the last reset_stats(), on this rank; a copy.

        Complete once backward() has returned.
        """
        return copy.copy(self._stats)

    def reset_stats(self) -> None:
        """Sets all statistics to zero."""
        self._stats = HLQStats()

    def scale_residuals(self, factor: float) -> None:
        """Multiplies what gradients still owe, when their scale changes; on all ranks alike.

        With a torch.amp.GradScaler, whose scale the gradients and so the residuals contain::

            before = scaler.get_scale()
            scaler.update()
            state.scale_residuals(scaler.get_scale() / before)
        """
        self._residuals.scale(factor)

    def state_dict(self) -> dict[str, object]:
        """What this rank must save to go on: residuals by name of parameter, steps, its place.

        Every rank has residuals of its own: save one dictionary per rank. For another number of
        ranks, hlqtorch.dist.reshard makes one dictionary of all of them.
        """
        return {
            "ranks": self._comm.size if self._comm is not None else None,
            "rank": self._comm.rank if self._comm is not None else None,
            "steps": self.steps,
            "residuals": self._residuals.by_name(self._name_of),
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes over what state_dict() of the same rank gave, or reshard() of all ranks.

        Raises:
            ValueError: saved by another rank or another number of ranks, or for parameters of other
                sizes.
        """
        if self._comm is not None:
            check_owner(state, self._comm.rank, self._comm.size)
        self._residuals.load(state["residuals"], self._name_of)
        self.steps = state.get("steps", self.steps)

    def __getstate__(self) -> dict[str, object]:
        _log.warning("HLQState: the process group and the communicator are not saved")
        kept = (
            "bits",
            "algorithm",
            "error_feedback",
            "exempt",
            "exempt_below_dim",
            "layer_bits",
            "start_step",
            "steps",
            "_options",
            "_stats",
        )
        return {name: getattr(self, name) for name in kept} | {
            "residuals": self._residuals.by_name(self._name_of)
        }

    def __setstate__(self, state: dict[str, object]) -> None:
        _log.warning("HLQState: using the default process group; connecting at the first bucket")
        state = dict(state)
        residuals = state.pop("residuals")
        self.__dict__.update(state)
        self.process_group = None
        self.transport = self._asked_transport = "auto"
        self._names = {}
        self._residuals = Residuals()
        self._residuals.load(residuals, self._name_of)
        self._restart()


def hlq_ddp_comm_hook(
    state: HLQState, bucket: dist.GradBucket
) -> torch.futures.Future[torch.Tensor]:
    """Averages a bucket of gradients at state.bits bits per number, on the wire.

    Register it with ``model.register_comm_hook(state, hlq_ddp_comm_hook)``. Every rank gets the
    same bits. NaN and Inf of any rank reach all ranks and never enter the residuals. A failure
    surfaces in backward() as an HLQError.

    Args:
        state: the HLQState, one per DDP model.
        bucket: gradients, float32 or bfloat16, in host memory, or over NCCL on a CUDA device;
            overwritten with the average.

    Returns:
        A future of the bucket's buffer.
    """
    return state.reduce(bucket)
