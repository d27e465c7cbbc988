"""Backend hlq on CUDA tensors, as far as that goes without a GPU: what is put onto which stream.

Tests for pytest, run by test_stand_in_device.py. Two ranks are threads. Their devices are those of
stand_in_device.cpp, in memory of the host, so a communicator over gloo can be made to stand where
NCCL's would.
"""

from __future__ import annotations

import datetime
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar

import pytest
import torch
import torch.distributed as dist
from hlqtorch import _C, HLQOptions
from hlqtorch.dist.backend import _Makers
from hlqtorch.errors import HLQError, HLQInvalidError

if TYPE_CHECKING:
    from collections.abc import Callable

RANKS = 2
NUMBERS = 1 << 16
CURRENT = 7  # the program's stream
TIMEOUT = datetime.timedelta(seconds=20)


@pytest.fixture(scope="module", autouse=True)
def _device() -> None:
    torch.ops.load_library(os.environ["STAND_IN_DEVICE"])


class Makers(_Makers):
    """Gloo where NCCL would be; `made` says for which devices."""

    made: ClassVar[list[int]] = []

    @staticmethod
    def cuda_comm(
        store: dist.Store,
        rank: int,
        ranks: list[int],
        inner: object,
        device: int,
        timeout: float,
        **options: str | int,
    ) -> _C.Comm:
        Makers.made.append(device)
        store = dist.PrefixStore("cuda", store)
        gloo = dist.ProcessGroupGloo(store, rank, len(ranks), timeout=TIMEOUT)
        return _C.Comm.backend(gloo, timeout=timeout, min_bytes=0, probe=False, **options)


class Group:
    """One rank's end of a group of backend hlq."""

    def __init__(self, store: dist.Store, rank: int, options: HLQOptions) -> None:
        self.rank = rank
        gloo = dist.ProcessGroupGloo(dist.PrefixStore("g", store), rank, RANKS, timeout=TIMEOUT)
        inner = {"cpu": gloo, "cuda": gloo}
        ranks = list(range(RANKS))
        self.backend = _C.HLQBackend(store, rank, ranks, inner, options, TIMEOUT, Makers)
        torch.ops.stand_in.use_stream(CURRENT)


def on_ranks(does: Callable[[Group], object], **options: float | str) -> list:
    """What `does` gives on each rank, or the exception that it raises; and closes the groups."""
    store = dist.HashStore()
    hlq_options = HLQOptions(bits=4, transport="process_group", **options)

    def run(rank: int) -> object:
        group = Group(store, rank, hlq_options)
        try:
            return does(group)
        except Exception as error:
            return error
        finally:
            group.backend.shutdown()

    torch.ops.stand_in.log()
    with ThreadPoolExecutor(RANKS) as threads:
        return list(threads.map(run, range(RANKS)))


def numbers(rank: int, count: int = NUMBERS) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(rank))


def as_cuda(x: torch.Tensor, device: int = 0) -> torch.Tensor:
    return torch.ops.stand_in.as_cuda(x, device)


def all_reduce(group: Group, is_cuda: bool) -> torch.Tensor:
    x = numbers(group.rank)
    group.backend.allreduce([as_cuda(x) if is_cuda else x]).wait()
    return x


def reduce_scatter(group: Group, is_cuda: bool) -> torch.Tensor:
    x, y = numbers(group.rank), torch.zeros(NUMBERS // RANKS)
    tensors = (as_cuda(y), as_cuda(x)) if is_cuda else (y, x)
    group.backend._reduce_scatter_base(*tensors).wait()
    return y


def all_gather(group: Group, is_cuda: bool) -> torch.Tensor:
    x, y = numbers(group.rank), torch.zeros(NUMBERS * RANKS)
    tensors = (as_cuda(y), as_cuda(x)) if is_cuda else (y, x)
    group.backend._allgather_base(*tensors).wait()
    return y


@pytest.mark.parametrize("collective", [all_reduce, reduce_scatter, all_gather])
def test_results_are_those_of_host_tensors(
    collective: Callable[[Group, bool], torch.Tensor],
) -> None:
    of_cuda = on_ranks(lambda group: collective(group, True), all_gather=True)
    of_host = on_ranks(lambda group: collective(group, False), all_gather=True)
    for got, expected in zip(of_cuda, of_host, strict=True):
        assert torch.equal(got, expected)
    exact = sum(numbers(rank) for rank in range(RANKS))
    if collective is all_reduce:
        assert 0 < (of_cuda[0] - exact).norm() < 0.2 * exact.norm()


def test_streams_follow_each_other() -> None:
    def reduce(group: Group) -> list[int]:
        x = numbers(group.rank)
        work = group.backend.allreduce([as_cuda(x)])
        assert work.is_completed()  # the stand-in's events are passed at once
        torch.ops.stand_in.use_stream(9)
        work.wait()
        return [x.data_ptr()]

    addresses = on_ranks(reduce)
    log = torch.ops.stand_in.log()
    for (address,) in addresses:
        (held,) = {line for line in log if f"hold {address} for" in line and "stream 9" not in line}
        own = held.rpartition(" for ")[2]
        story = [line for line in log if own in line]
        # It waits for the program's stream, holds the tensors, and is marked at the end.
        waits = story[0]
        assert waits.startswith(f"{own} waits for event ")
        event = waits.rpartition(" for ")[2]
        assert f"record {event} on stream {CURRENT}" in log
        assert story.index(held) < story.index(story[-1])
        ends = [line.split()[1:3] for line in story if line.startswith("record")]
        assert ends and any(f"stream 9 waits for {' '.join(end)}" in log for end in ends)
        assert own not in (f"stream {CURRENT}", "stream 9")


def test_a_future_is_complete_before_its_stream_is() -> None:
    def reduce(group: Group) -> bool:
        x = as_cuda(numbers(group.rank))
        future = group.backend.allreduce([x]).get_future()
        done = future.done()
        return done and future.value()[0].data_ptr() == x.data_ptr()

    assert on_ranks(reduce) == [True] * RANKS


def test_pending_work_is_not_over() -> None:
    def reduce(group: Group) -> tuple[bool, bool]:
        work = group.backend.allreduce([as_cuda(numbers(group.rank))])
        events = {int(line.split()[2]) for line in torch.ops.stand_in.log() if "record" in line}
        for event in events:
            torch.ops.stand_in.hold_back(event, True)
        pending = work.is_completed()
        for event in events:
            torch.ops.stand_in.hold_back(event, False)
        return pending, work.is_completed()

    # One rank may take the other's part of the log, so that it is looked at by one alone.
    def alone(group: Group) -> object:
        if group.rank:
            group.backend.allreduce([as_cuda(numbers(group.rank))]).wait()
            return None
        return reduce(group)

    assert on_ranks(alone)[0] == (False, True)


def test_there_is_one_communicator_and_one_device() -> None:
    Makers.made.clear()

    def twice(group: Group) -> None:
        for _ in range(2):
            group.backend.allreduce([as_cuda(numbers(group.rank))]).wait()
        group.backend.allreduce([as_cuda(numbers(group.rank), group.rank)]).wait()

    errors = on_ranks(twice)
    assert Makers.made == [0] * RANKS
    assert isinstance(errors[1], HLQInvalidError) and "cuda:1" in str(errors[1])
    assert isinstance(errors[0], HLQError) and "send is NULL" in str(errors[0])


@pytest.mark.parametrize(
    "options", [{"target_nmse": 1e-3}, {"max_error": 1e-3}, {"algorithm": "modq"}]
)
def test_what_is_for_host_tensors_is_refused(options: dict) -> None:
    for error in on_ranks(lambda group: all_reduce(group, True), **options):
        assert isinstance(error, NotImplementedError) and "host tensors" in str(error)


def test_nothing_goes_after_the_end() -> None:
    def late(group: Group) -> None:
        x = as_cuda(numbers(group.rank))
        group.backend.allreduce([x]).wait()
        group.backend.shutdown()
        group.backend.allreduce([x])

    for error in on_ranks(late):
        assert isinstance(error, HLQInvalidError) and "shut down" in str(error)


def test_the_inner_backend_is_there_for_others() -> None:
    def inner(group: Group) -> tuple[str, object]:
        try:
            group.backend.inner("xla")
        except NotImplementedError as error:
            return type(group.backend.inner("cuda")).__name__, str(error)

    for name, refused in on_ranks(inner):
        assert name == "ProcessGroupGloo" and "no inner backend for tensors on xla" in refused


def test_statistics_count_them() -> None:
    def reduce(group: Group) -> dict:
        all_reduce(group, True)
        return group.backend.totals()

    for totals in on_ranks(reduce):
        assert totals["calls"] == 1 and totals["elements"] == NUMBERS
        assert 0 < totals["bytes_sent"] < NUMBERS
