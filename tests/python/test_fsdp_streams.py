"""FSDP2 on CUDA tensors, as far as that goes without a GPU: streams and devices are handed on."""

from types import SimpleNamespace

import pytest
import torch
from hlqtorch.dist import connect as connecting
from hlqtorch.dist import fsdp_comms
from hlqtorch.dist.fsdp import HLQAllGather, HLQAllReduce, HLQReduceScatter, Link
from hlqtorch.dist.fsdp_residuals import GroupResidual
from torch import Tensor

NUMBERS = 1 << 15
STREAM = 77


class OfCuda(Tensor):
    """Says that it is on a CUDA device."""

    is_cuda = True


def of_cuda(count: int) -> Tensor:
    return torch.zeros(count).as_subclass(OfCuda)


class Recorder:
    """A communicator of two ranks that notes its calls."""

    size = 2

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict]] = []

    def __getattr__(self, name: str) -> object:
        return lambda *_, **options: self.calls.append((name, options))


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The current stream of every device; `waited` notes the events that it waits for."""
    waited: list[str] = []
    fake = SimpleNamespace(
        cuda_stream=STREAM,
        record_event=lambda: "event",
        wait_event=waited.append,
        waited=waited,
    )
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: fake)
    return fake


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Link:
    made = Link()
    recorder = Recorder()
    monkeypatch.setattr(made, "comm", lambda group, tensor: recorder)
    monkeypatch.setattr(made, "stats", SimpleNamespace(add=lambda stats, plan: None))
    return made


def calls(link: Link, name: str) -> list[dict]:
    return [options for called, options in link.comm(None, None).calls if called == name]


def test_gradients_go_onto_the_current_stream(link: Link, stream: SimpleNamespace) -> None:
    residual = GroupResidual([("w", torch.Size([NUMBERS]))], "w")
    scatter = HLQReduceScatter(residual=residual, link=link)
    done = scatter(of_cuda(NUMBERS // 2), of_cuda(NUMBERS), None, torch.distributed.ReduceOp.AVG)
    assert done is None
    (call,) = calls(link, "reduce_scatter")
    assert call["stream"] == STREAM and call["op"] == "avg"
    assert call["residual"].numel() == NUMBERS


def test_replicas_average_on_the_current_stream(link: Link, stream: SimpleNamespace) -> None:
    HLQAllReduce(None, link=link)(of_cuda(NUMBERS))
    assert [call["stream"] for call in calls(link, "all_reduce")] == [STREAM]


def test_an_early_all_gather_is_waited_for_by_the_stream(
    link: Link, stream: SimpleNamespace
) -> None:
    gather = HLQAllGather(link=link)
    assert gather(of_cuda(NUMBERS), of_cuda(NUMBERS // 2), None) is None
    work = gather(of_cuda(NUMBERS), of_cuda(NUMBERS // 2), None, async_op=True)
    assert not stream.waited
    assert work.wait() and stream.waited == ["event"]
    assert [call["stream"] for call in calls(link, "all_gather")] == [STREAM, STREAM]


@pytest.mark.parametrize("is_cuda", [False, True])
def test_a_link_says_where_tensors_are(is_cuda: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The group may have another backend beside NCCL, or around it."""
    asked: list[bool] = []

    def connect(group: None, transport: str, *, of_cuda: bool, **_: object) -> tuple:
        asked.append(of_cuda)
        return Recorder(), "any"

    monkeypatch.setattr(fsdp_comms, "connect", connect)
    tensor = of_cuda(NUMBERS) if is_cuda else torch.zeros(NUMBERS)
    made = Link()
    assert made.comm(None, tensor) is made.comm(None, tensor)
    assert asked == [is_cuda]


def test_auto_is_nccl_for_cuda_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, made = object(), object()
    comm = SimpleNamespace(nccl=lambda pointer, **_: (made, pointer))
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_process_group_ranks", lambda group: [0, 1])
    monkeypatch.setattr(torch.distributed, "get_backend", lambda group: "cpu:gloo,cuda:nccl")
    monkeypatch.setattr(connecting, "_backend_of_cuda", lambda group: backend)
    monkeypatch.setattr(connecting, "nccl_comm", {backend: 5}.get)
    monkeypatch.setattr(connecting, "Comm", comm)
    group = object()
    assert connecting.connect(group, of_cuda=True) == ((made, 5), "nccl")
    assert connecting.connect(group, "nccl") == ((made, 5), "nccl")


def test_host_tensors_have_no_stream(link: Link) -> None:
    HLQAllGather(link=link)(torch.zeros(NUMBERS), torch.zeros(NUMBERS // 2), None)
    assert [call["stream"] for call in calls(link, "all_gather")] == [0]


def test_residuals_are_where_gradients_are_and_saved_on_the_host() -> None:
    name, count = "w", 6
    residual = GroupResidual([(name, torch.Size([count]))], "w")
    residual.load({name: torch.arange(float(count))})
    flat = residual.flat(2, count, torch.device("meta"))
    assert flat.device.type == "meta" and flat.dtype == torch.float32
    residual = GroupResidual([(name, torch.Size([count]))], "w")
    residual.load({name: torch.arange(float(count), dtype=torch.float64)})
    assert residual.by_name()[name].dtype == torch.float32
    assert residual.flat(2, count, torch.device("cpu")).tolist() == [0, 1, 2, 3, 4, 5]
    assert residual.by_name()[name].device.type == "cpu"
