"""What the compiled extension offers. Sources: csrc/; contracts in full: hlqcomm/hlqcomm.h."""

import datetime
from collections.abc import Sequence
from typing import Literal, TypedDict

import torch
from torch._C._distributed_c10d import Backend
from torch.distributed import ProcessGroup, Store
from typing_extensions import Unpack

Algorithm = Literal["auto", "twoshot", "oneshot", "modq", "native", "hierarchical"]
Topology = Literal["auto", "all_to_all", "ring"]
Op = Literal["sum", "avg"]
Operation = Literal["all_reduce", "reduce_scatter", "all_gather"]

class Options(TypedDict, total=False):
    """Options of a communicator; the same on all ranks, threads and timeout excepted."""

    bits: float  # budget on the wire, bits per number, everything counted; 1 … 12, default 4
    lattice: Literal["E8", "D4", "Z"]  # default E8
    algorithm: Algorithm  # default auto
    seed: int  # of the rotation's sign flips; default 0
    min_bytes: int  # auto: smaller tensors go native; default 16384, without probe 65536
    target_nmse: float  # 0, or the error to aim at in place of bits; default 0
    max_error: float  # 0, or the largest error of any number, in place of bits; default 0
    probe: bool  # auto: measure whether compressing pays; default as HLQ_PROBE says, else True
    group: int  # hierarchical: ranks of a group are a node; default 0, the machine; may differ
    topology: Topology  # modq: who sends to whom, with the same bits as result; default all_to_all
    dither: bool  # errors of mean 0 over calls; not with modq or max_error; default False
    threads: int  # that code and decode, 1 … 256; default 0: as HLQ_THREADS says, else 1
    timeout: float  # longest wait for another rank, seconds; default 300

class Plan(TypedDict):
    """What a collective would cost on this rank."""

    algorithm: str
    wire_bytes: int  # payload this rank sends to others; the most it can be without fixed bits
    workspace_bytes: int
    bits_per_elem: float

class Stats(TypedDict):
    """What the last collective did, on this rank; fields as in struct hlq_stats."""

    operation: str
    algorithm: str
    calls: int
    count: int
    bytes_sent: int
    bytes_received: int
    control_bytes: int
    bits: float
    bits_per_elem: float
    seconds: float
    seconds_encode: float
    seconds_exchange: float
    seconds_reduce: float
    seconds_decode: float
    vnmse_estimate: float
    largest_scale: float
    overloads: int
    retries: int
    nonfinite_blocks: int

class Comm:
    """One rank's end of a group of ranks. Serves one thread at a time; calls wait for each other.

    All ranks make communicators and call their collectives in the same order. Failures raise a
    subclass of hlqtorch.errors.HLQError on every rank.
    """

    @staticmethod
    def mpi(
        ranks: Sequence[int] = (),
        tag: int = 0,
        of_cuda: bool = False,
        **options: Unpack[Options],
    ) -> Comm:
        """Over MPI; collective over `ranks` of MPI_COMM_WORLD, all of them if empty.

        Communicators that threads make at the same time need different tags, 0 … 32767. of_cuda:
        for tensors of the current CUDA device, too, if mpi_has_cuda() on all ranks; they go by way
        of the host unless MPI takes memory of devices (HLQ_MPI_CUDA=staged or =direct decides).

        Starts MPI if nobody has; what was started here is ended when Python exits.
        """

    @staticmethod
    def process_group(group: ProcessGroup, **options: Unpack[Options]) -> Comm:
        """Over a process group for host tensors (gloo), used by nobody else; collective over it."""

    @staticmethod
    def backend(backend: Backend, **options: Unpack[Options]) -> Comm:
        """The same over a backend that is in no process group."""

    @staticmethod
    def nccl(nccl_comm: int, **options: Unpack[Options]) -> Comm:
        """Over the ranks of an ncclComm_t, given as a number, for tensors on its device.

        Splits a communicator off it; collective over it. Calls add their work to a stream and
        return; hlqcomm/nccl.h has the rest.
        """

    @property
    def rank(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def has_cuda(self) -> bool:
        """Whether tensors may be on its CUDA device."""

    def all_reduce(
        self,
        input: torch.Tensor,
        output: torch.Tensor,
        op: Op = "sum",
        bits: float = 0.0,
        algorithm: Algorithm = "auto",
        residual: torch.Tensor | None = None,
        target_nmse: float = 0.0,
        max_error: float = 0.0,
        stream: int = 0,
    ) -> None:
        """Writes the sum or average of input over the ranks to output, the same bits on all.

        Args:
            input: contiguous float32, bfloat16 or float16 in host memory, over NCCL also on its
                device; any shape.
            output: same dtype and number of elements; may be input itself.
            op: "sum" or "avg".
            bits: budget of this call; 0: the communicator's.
            algorithm: of this call; "auto": the communicator's.
            residual: error feedback, float32, as many elements; added to input before, afterwards
                what this call failed to send. Start with zeros. Untouched by native.
            target_nmse: in place of bits, the error ‖output - exact‖² / ‖exact‖² to aim at.
            max_error: in place of bits, what no number of output is off by more than, in the
                output's unit.
            stream: of CUDA tensors, where the work goes (torch.cuda.Stream.cuda_stream).
        """

    def reduce_scatter(
        self,
        input: torch.Tensor,
        output: torch.Tensor,
        op: Op = "sum",
        bits: float = 0.0,
        algorithm: Algorithm = "auto",
        residual: torch.Tensor | None = None,
        target_nmse: float = 0.0,
        max_error: float = 0.0,
        stream: int = 0,
    ) -> None:
        """Writes this rank's part of the sum or average to output.

        Args:
            input: as for all_reduce; [size × n], part p of which rank p gets.
            output: [n], same dtype; may be the rank-th part of input.
            op: as for all_reduce.
            bits: as for all_reduce.
            algorithm: as for all_reduce.
            residual: as for all_reduce, [size × n].
            target_nmse: as for all_reduce.
            max_error: as for all_reduce.
            stream: as for all_reduce.
        """

    def all_gather(
        self,
        input: torch.Tensor,
        output: torch.Tensor,
        bits: float = 0.0,
        algorithm: Algorithm = "auto",
        target_nmse: float = 0.0,
        max_error: float = 0.0,
        stream: int = 0,
    ) -> None:
        """Writes the inputs of all ranks to output, the same bits on all.

        A rank's own part is rounded as the others see it.

        Args:
            input: as for all_reduce; [n].
            output: [size × n], same dtype; input may be its rank-th part.
            bits: as for all_reduce.
            algorithm: as for all_reduce; not modq.
            target_nmse: as for all_reduce.
            max_error: as for all_reduce.
            stream: as for all_reduce.
        """

    def check(self) -> None:
        """Raises if work on streams has failed by now; looks, does not wait."""

    def refuse(self) -> None:
        """Takes part in the next collective by failing it: the others get an error at once.

        For a rank that cannot make the call it owes them.
        """

    def plan(
        self,
        count: int,
        dtype: torch.dtype,
        op: Op = "sum",
        bits: float = 0.0,
        algorithm: Algorithm = "auto",
        target_nmse: float = 0.0,
        max_error: float = 0.0,
        operation: Operation = "all_reduce",
    ) -> Plan:
        """What a collective would cost; talks to nobody.

        Args:
            count: elements of input or output, whichever has fewer.
            dtype: of input and output.
            op: as for the call; ignored for an all-gather.
            bits: as for the call.
            algorithm: as for the call.
            target_nmse: as for the call.
            max_error: as for the call.
            operation: "all_reduce", "reduce_scatter" or "all_gather".
        """

    def stats(self) -> Stats:
        """What the last collective did; zeros before the first."""

    def close(self) -> None:
        """Frees everything; later calls raise. Harmless when repeated."""

class HLQOptions(Backend.Options):
    """What a process group of backend ``hlq`` compresses, and how: its ``pg_options``.

    Sums and averages (all-reduce, reduce-scatter, also coalesced) of floating-point tensors are
    compressed, everything else is exact. Those of CUDA devices by bits alone, over NCCL whatever
    the transport. Equal on all ranks of the group, timeout excepted.
    """

    def __init__(
        self,
        *,
        bits: float = 4.0,
        algorithm: Algorithm = "auto",
        target_nmse: float = 0.0,
        max_error: float = 0.0,
        min_bytes: int = 65536,
        all_gather: bool = False,
        lattice: Literal["E8", "D4", "Z"] = "E8",
        seed: int = 0,
        topology: Topology = "auto",
        dither: bool = False,
        threads: int = 0,
        transport: Literal["auto", "mpi", "process_group"] = "auto",
        timeout: float | None = None,
    ) -> None:
        """Options of a group that compresses.

        Args:
            bits: budget on the wire, bits per number, everything counted; 1 … 12.
            algorithm: as for Comm. "auto" never measures here: the same bits on every run.
            target_nmse: instead of bits, the error ‖result - exact‖² / ‖exact‖² to aim at.
            max_error: instead of bits, the most that any number of a result may be off by.
            min_bytes: inputs of fewer bytes stay exact: the tensors of one call together, those of
                all ranks for an all-gather.
            all_gather: compress all-gathers too, which nobody expects to be lossy.
            lattice: as for Comm.
            seed: as for Comm.
            topology: who sends to whom in modq: "all_to_all", or "ring": to the next rank only. The
                bits of results are the same. "auto": all_to_all.
            dither: what is coded is moved by random amounts, which decoding takes back, so that the
                error of every number has mean 0 over calls. Of one call it is larger: 1.5 to 3
                times at 4 bits, squared. From 2.4 bits on; not with modq or max_error.
            threads: that code and decode on this rank, 1 … 256, with the same bits as result. They
                are libhlqcomm's own, beside torch's. 0: as HLQ_THREADS says, else 1.
            transport: of compressed data: "mpi", "process_group" (a gloo of its own), or "auto":
                MPI where mpirun started the ranks.
            timeout: longest wait for another rank in a compressed collective, seconds; None: the
                group's.

        Raises:
            HLQError: libhlqcomm does not know such a value.
        """

    @staticmethod
    def exact() -> HLQOptions:
        """Options of a group that compresses nothing."""

class HLQBackend(Backend):
    """One rank's end of a process group of backend ``hlq``; made by hlqtorch.dist.backend."""

    def __init__(
        self,
        store: Store,
        rank: int,
        global_ranks: Sequence[int],
        inner: dict[str, Backend],
        options: HLQOptions,
        timeout: datetime.timedelta,
        makers: object,
    ) -> None: ...
    @property
    def options(self) -> HLQOptions: ...
    def get_error(self) -> object:
        """Of the last compressed collective that failed; SUCCESS if none did."""

    def inner(self, device: str) -> Backend:
        """The backend that does what is exact for tensors of a type of device.

        Raises:
            NotImplementedError: there is none.
        """

    def totals(self) -> dict[str, float]:
        """Fields of hlqtorch.dist.stats.HLQStats."""

    def reset_totals(self) -> None:
        """Sets them to zero."""

class LatticeInfo(TypedDict):
    """Constants of a lattice; fields as in struct hlq_lattice_info."""

    dim: int
    volume: float
    second_moment: float
    covering_radius: float
    packing_radius: float
    generator: list[float]  # dim × dim, row-major
    inverse: list[float]

class QuantizerInfo(TypedDict):
    """What follows from a quantizer's parameters; fields as in struct hlq_quantizer_info."""

    digit_bytes: int
    bits_per_number: float
    layer_points: int
    mean: list[float]
    max_norm2: int

built_for_torch: str

def lattice_describe(lattice: str, dim: int) -> LatticeInfo: ...
def quantizer_describe(
    lattice: str,
    dim: int,
    q: int,
    depth: int,
    beta: float,
    alpha: float,
    max_retries: int,
    centred: bool,
) -> QuantizerInfo: ...
def lut_two_sided(lattice: str, dim: int, q: int, centred: bool) -> torch.Tensor: ...
def status_list() -> list[tuple[str, int, str]]: ...
def version() -> str: ...
def kernel_variant() -> str | None: ...
def mpi_library() -> str: ...
def nccl_library() -> str: ...
def quantizes_cuda() -> bool: ...
def mpi_has_cuda() -> bool: ...
def mpi_start() -> bool: ...
def mpi_is_running() -> bool: ...
def mpi_finish() -> None: ...
def enter_mode(options: HLQOptions) -> int: ...
def enter_exact() -> int: ...
def leave_mode(ticket: int) -> None: ...
def finish_backends(at_once: bool) -> None: ...
def fail(future: torch.futures.Future, exception: BaseException) -> None: ...
