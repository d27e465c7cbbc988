"""Checks of what stands on backend hlq: DDP, functional collectives, DTensor, torch.compile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hlqtorch
import torch
import torch.distributed as dist
import torch.distributed._functional_collectives as functional
from checks_backend import COUNT, groups, numbers
from checks_comm import bound, vnmse
from hlqtorch import compressed
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from torch.nn.parallel import DistributedDataParallel

if TYPE_CHECKING:
    from ranks import Ranks

BITS = 6


def limit(ranks: Ranks) -> float:
    """Error to stay below at BITS, whatever "auto" chooses for so many ranks."""
    return max(bound(algorithm, BITS, ranks.size) for algorithm in ("oneshot", "twoshot"))


def use_both_ways(ranks: Ranks, use: object) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], int]:
    """What use(group) gives exactly and compressed, and how many collectives were compressed."""
    with groups(ranks) as (hlq, _):
        plain = use(hlq)
        assert hlqtorch.stats(hlq).calls == 0
        with compressed(bits=BITS, all_gather=True):
            lossy = use(hlq)
        return plain, lossy, hlqtorch.stats(hlq).calls


def check_functional_collectives(ranks: Ranks) -> None:
    x = numbers(ranks)
    n = ranks.size

    def use(group: dist.ProcessGroup) -> tuple[Tensor, ...]:
        return (
            functional.all_reduce(x, "sum", group).clone(),
            sum(functional.all_reduce_coalesced([x, 2 * x], "avg", group)),
            functional.reduce_scatter_tensor(x, "sum", 0, group).clone(),
            sum(functional.reduce_scatter_tensor_coalesced([x, 2 * x], "sum", [0, 0], group)),
            functional.all_gather_tensor(x, 0, group).clone(),
            functional.all_to_all_single(x, [COUNT // n] * n, [COUNT // n] * n, group).clone(),
        )

    plain, lossy, calls = use_both_ways(ranks, use)
    total = ranks.exact_sum(x)
    everyone = torch.cat(ranks.gather(x))
    due = (
        total,
        3 * total / n,
        total.chunk(n)[ranks.rank],
        3 * total.chunk(n)[ranks.rank],
        everyone.double(),
        torch.cat([part.chunk(n)[ranks.rank] for part in everyone.chunk(n)]).double(),
    )
    for exact, y, wanted in zip(plain, lossy, due, strict=True):
        # Sums of up to n + 1 fp32 numbers, each with a rounding of 2^-24, squared.
        assert vnmse(exact, wanted) < ((n + 1) * 2**-24) ** 2
        assert vnmse(y, wanted) < limit(ranks)
    assert torch.equal(plain[4], everyone) and torch.equal(lossy[5], plain[5])
    assert calls == 5, "all but all-to-all"


def check_dtensor_redistribute(ranks: Ranks) -> None:
    x = numbers(ranks).view(240, 500)

    def use(group: dist.ProcessGroup) -> tuple[Tensor, ...]:
        mesh = DeviceMesh.from_group(group, "cpu")
        partial = DTensor.from_local(x, mesh, [Partial()], run_check=False)
        scattered = partial.redistribute(mesh, [Shard(0)])
        return (
            partial.redistribute(mesh, [Replicate()]).to_local().clone(),
            scattered.to_local().clone(),
            scattered.redistribute(mesh, [Shard(1)]).to_local().clone(),
            DTensor.from_local(x, mesh, [Shard(0)]).redistribute(mesh, [Replicate()]).to_local(),
        )

    plain, lossy, calls = use_both_ways(ranks, use)
    total = ranks.exact_sum(x)
    everyone = torch.cat(ranks.gather(x)).double()
    due = (total, total.chunk(ranks.size)[ranks.rank])
    due += (total.chunk(ranks.size, dim=1)[ranks.rank], everyone)
    for exact, y, wanted in zip(plain, lossy, due, strict=True):
        assert exact.shape == y.shape == wanted.shape
        assert vnmse(exact, wanted) < (ranks.size * 2**-24) ** 2
        assert vnmse(y, wanted) < limit(ranks)
    # An all-reduce, a reduce-scatter, and two all-gathers: on a CPU, DTensor makes one of Shard to
    # Shard, too, believing that nobody has an all-to-all there.
    assert calls == 4


def check_compile_of_an_all_reduce(ranks: Ranks) -> None:
    x = numbers(ranks)

    def use(group: dist.ProcessGroup) -> tuple[Tensor, ...]:
        def function(x: Tensor) -> Tensor:
            y = x * 2
            dist.all_reduce(y, group=group)
            return y + functional.reduce_scatter_tensor(x, "sum", 0, group).sum()

        return function(x), torch.compile(function, fullgraph=True, backend="aot_eager")(x)

    plain, lossy, calls = use_both_ways(ranks, use)
    assert torch.equal(*plain), "exact: compiled as not compiled"
    assert torch.equal(*lossy), "compressed: compiled as not compiled"
    assert 0 < vnmse(lossy[0], plain[0].double()) < limit(ranks)
    assert calls == 4


def check_inductor_on_a_model(ranks: Ranks) -> None:
    """Layers split over the ranks: activations in functional collectives and as DTensor."""
    # It calls a C++ compiler on each rank, and does not quote the path of torch (2.13).
    if ranks.size != 2 or " " in torch.__file__:
        return
    width, rows = 128, 256  # activations of 128 KiB
    torch.manual_seed(1)
    first, second = nn.Linear(width, width), nn.Linear(width, width)
    x = numbers(ranks, rows * width).view(rows, width)

    def use(group: dist.ProcessGroup) -> tuple[Tensor, ...]:
        mesh = DeviceMesh.from_group(group, "cpu")

        def model(x: Tensor) -> Tensor:
            hidden = functional.all_reduce(first(x).tanh(), "avg", group)
            partial = DTensor.from_local(second(hidden * x), mesh, [Partial()], run_check=False)
            return partial.redistribute(mesh, [Replicate()]).to_local().relu()

        with torch.no_grad():
            return model(x), torch.compile(model, fullgraph=True)(x)

    plain, lossy, calls = use_both_ways(ranks, use)
    for made, wanted in (plain, lossy):
        # Activations that differ by a rounding may fall on the other side of a code's border.
        assert vnmse(made, wanted.double()) < limit(ranks) / 100
    assert ranks.same_bits(*plain, *lossy)
    assert all(0 < vnmse(one, plain[0].double()) < 3 * limit(ranks) for one in lossy)
    assert calls == 4, "the compiled model's as well"


def check_ddp_without_a_hook(ranks: Ranks) -> None:
    width = 200  # weights of 156 KiB
    generator = torch.Generator().manual_seed(ranks.rank)
    inputs = torch.randn(16, width, generator=generator)

    def use(group: dist.ProcessGroup) -> tuple[Tensor, ...]:
        torch.manual_seed(1)
        layers = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width))
        model = DistributedDataParallel(layers, process_group=group, find_unused_parameters=True)
        model(inputs).square().mean().backward()
        return (torch.cat([parameter.grad.flatten() for parameter in model.parameters()]),)

    (plain,), (lossy,), calls = use_both_ways(ranks, use)
    assert ranks.same_bits(plain) and ranks.same_bits(lossy)
    assert 0 < vnmse(lossy, plain.double()) < limit(ranks)
    assert calls == 1, "one bucket; the map of used parameters is of integers"


def check_errors_keep_their_class_through_ddp(ranks: Ranks) -> None:
    model = nn.Linear(300, 300)
    raised = None
    with groups(ranks) as (hlq, _):
        model = DistributedDataParallel(model, process_group=hlq)
        with compressed(bits=4 + ranks.rank % 2):
            try:
                model(torch.ones(4, 300)).sum().backward()
            except hlqtorch.HLQError as error:
                raised = error
    assert "called with bits" in str(raised)


def check_objects_and_broadcasts_arrive_whole(ranks: Ranks) -> None:
    with groups(ranks, bits=4, all_gather=True) as (hlq, _):
        mine = {"rank": ranks.rank, "text": "x" * 100_000}
        everyone: list = [None] * ranks.size
        dist.all_gather_object(everyone, mine, group=hlq)
        objects = [mine if ranks.rank == 0 else None]
        dist.broadcast_object_list(objects, 0, group=hlq)
        x = numbers(ranks)
        dist.broadcast(x, 0, group=hlq)
        same = ranks.same_bits(x)
        calls = hlqtorch.stats(hlq).calls
    assert [one["rank"] for one in everyone] == list(range(ranks.size))
    assert objects[0]["rank"] == 0 and same and calls == 0
