"""Checks of backend hlq: what is exact, what is compressed, which groups there are; by ranks.py."""

from __future__ import annotations

import contextlib
import datetime
import os
from typing import TYPE_CHECKING

import hlqtorch
import torch
import torch.distributed as dist
from checks_comm import bound, vnmse
from hlqtorch import HLQOptions, compressed, exact
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ranks import Ranks

COUNT = 120_000  # divisible by 2, 3, 4; 469 KiB in float32
SMALL = 12_000  # 47 KiB: below the size from which hlq compresses
FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def numbers(ranks: Ranks, count: int = COUNT, dtype: torch.dtype = torch.float32) -> Tensor:
    """This rank's tensor: Gaussian, or small integers for an integer dtype."""
    generator = torch.Generator().manual_seed(7 + ranks.rank)
    if dtype.is_floating_point:
        return torch.randn(count, generator=generator).to(dtype)
    return torch.randint(-9, 10, (count,), generator=generator).to(dtype)


# Every collective of tensors, as a function of group, input and operation, to its result.


def all_reduce(group: dist.ProcessGroup, x: Tensor, op: dist.ReduceOp) -> Tensor:
    y = x.clone()
    dist.all_reduce(y, op, group)
    return y


def all_reduce_coalesced(group: dist.ProcessGroup, x: Tensor, op: dist.ReduceOp) -> Tensor:
    first, second = x[: len(x) // 3].clone(), x[len(x) // 3 :].clone()
    with dist._coalescing_manager(group):
        dist.all_reduce(first, op, group)
        dist.all_reduce(second, op, group)
    return torch.cat([first, second])


def reduce_scatter_list(group: dist.ProcessGroup, x: Tensor, op: dist.ReduceOp) -> Tensor:
    parts = list(x.chunk(group.size()))
    y = torch.empty_like(parts[0])
    dist.reduce_scatter(y, parts, op, group)
    return y


def reduce_scatter_tensor(group: dist.ProcessGroup, x: Tensor, op: dist.ReduceOp) -> Tensor:
    y = x.new_empty(len(x) // group.size())
    dist.reduce_scatter_tensor(y, x, op, group)
    return y


def reduce_scatter_coalesced(group: dist.ProcessGroup, x: Tensor, op: dist.ReduceOp) -> Tensor:
    # The parts of both halves, one behind the other, are the parts of the whole.
    first, second = (half.flatten() for half in x.view(group.size(), -1).chunk(2, dim=1))
    outputs = [x.new_empty(len(half) // group.size()) for half in (first, second)]
    options = dist.ReduceScatterOptions()
    options.reduceOp = op
    group.reduce_scatter_tensor_coalesced(outputs, [first, second], options).wait()
    return torch.cat(outputs)


def all_gather_list(group: dist.ProcessGroup, x: Tensor) -> Tensor:
    parts = [torch.empty_like(x) for _ in range(group.size())]
    dist.all_gather(parts, x, group)
    return torch.cat(parts)


def all_gather_tensor(group: dist.ProcessGroup, x: Tensor) -> Tensor:
    y = x.new_empty(len(x) * group.size())
    dist.all_gather_into_tensor(y, x, group)
    return y


def all_gather_coalesced(group: dist.ProcessGroup, x: Tensor) -> Tensor:
    first, second = x.chunk(2)
    outputs = [x.new_empty(len(half) * group.size()) for half in (first, second)]
    group.allgather_into_tensor_coalesced(outputs, [first.clone(), second.clone()]).wait()
    halves = [output.view(group.size(), -1) for output in outputs]
    return torch.cat(halves, dim=1).flatten()


SUMS = (
    all_reduce,
    all_reduce_coalesced,
    reduce_scatter_list,
    reduce_scatter_tensor,
    reduce_scatter_coalesced,
)
GATHERS = (all_gather_list, all_gather_tensor, all_gather_coalesced)


def is_scattered(function: Callable) -> bool:
    return function.__name__.startswith("reduce_scatter")


def exact_result(ranks: Ranks, function: Callable, x: Tensor) -> Tensor:
    """What a sum gives in fp64."""
    total = ranks.exact_sum(x)
    return total.chunk(ranks.size)[ranks.rank] if is_scattered(function) else total


@contextlib.contextmanager
def groups(ranks: Ranks, **options: object) -> Iterator[tuple]:
    """(a group of backend hlq with these options, the same ranks over gloo)."""
    made = ranks.group(**options)
    yield made, dist.group.WORLD
    dist.destroy_process_group(made)


def check_without_opting_in_hlq_is_gloo_to_the_bit(ranks: Ranks) -> None:
    different = []
    with groups(ranks) as (hlq, gloo):
        for dtype in (*FLOATS, torch.int64, torch.uint8):
            x = numbers(ranks, dtype=dtype)
            ops = [dist.ReduceOp.SUM, dist.ReduceOp.MAX, dist.ReduceOp.PRODUCT]
            ops += [dist.ReduceOp.AVG] if dtype.is_floating_point else []
            for op in ops:
                different += [
                    (function.__name__, dtype, op)
                    for function in SUMS
                    if not torch.equal(function(hlq, x, op), function(gloo, x, op))
                ]
            different += [
                (function.__name__, dtype)
                for function in GATHERS
                if not torch.equal(function(hlq, x), function(gloo, x))
            ]
        calls = hlqtorch.stats(hlq).calls
    assert not different and calls == 0


def check_sums_are_compressed_as_told(ranks: Ranks) -> None:
    wrong = []
    with groups(ranks, bits=4, algorithm="twoshot") as (hlq, _):
        for number, function in enumerate(SUMS, 1):
            x = numbers(ranks)
            total = function(hlq, x, dist.ReduceOp.SUM)
            mean = function(hlq, x, dist.ReduceOp.AVG)
            due = exact_result(ranks, function, x)
            error = vnmse(total, due)
            same = is_scattered(function) or ranks.same_bits(total, mean)
            # One rounding each; the codes are the same.
            near = torch.allclose(mean * ranks.size, total, rtol=2**-22, atol=0)
            counted = hlqtorch.stats(hlq).calls == 2 * number
            if not (0 < error < bound("twoshot", 4, ranks.size) and same and near and counted):
                wrong.append((function.__name__, error, same, near, counted))
        stats = hlqtorch.stats(hlq)
        sent = sum(ranks.gather(stats.bytes_sent))
    assert not wrong
    assert stats.bytes_sent == stats.plan_bytes
    # Four calls of all-reduce at 2 (n-1)/n of 4 bits; reduce-scatter has half the way, (n-1)/n,
    # and the header of hlqcomm.h promises (n-1) × count, which is that of the whole input.
    assert 0 < sent <= (4 * 2 + 6) * (ranks.size - 1) * COUNT * 4 / 8


def check_all_floating_types_are_compressed(ranks: Ranks) -> None:
    errors = {}
    with groups(ranks, bits=6, algorithm="twoshot") as (hlq, _):
        for dtype in FLOATS:
            x = numbers(ranks, dtype=dtype)
            y = all_reduce(hlq, x, dist.ReduceOp.SUM)
            assert y.dtype == dtype
            errors[dtype] = vnmse(y, ranks.exact_sum(x))
        calls = hlqtorch.stats(hlq).calls
    assert calls == len(FLOATS)
    # bfloat16 rounds results to 8 bits: a relative error of up to 2^-9, squared.
    limit = bound("twoshot", 6, ranks.size) + 2**-18
    assert all(0 < error < limit for error in errors.values()), errors


def check_the_rest_stays_exact(ranks: Ranks) -> None:
    different = []
    with groups(ranks, bits=4) as (hlq, gloo):
        for function in SUMS:
            for op, x in (
                (dist.ReduceOp.SUM, numbers(ranks, dtype=torch.int32)),
                (dist.ReduceOp.MAX, numbers(ranks)),
                (dist.ReduceOp.SUM, numbers(ranks, SMALL)),
            ):
                if not torch.equal(function(hlq, x, op), function(gloo, x, op)):
                    different.append((function.__name__, op, x.dtype, len(x)))
        for function in GATHERS:
            if not torch.equal(function(hlq, numbers(ranks)), function(gloo, numbers(ranks))):
                different.append(function.__name__)
        calls = hlqtorch.stats(hlq).calls
    assert not different and calls == 0


def check_all_gather_is_compressed_on_request(ranks: Ranks) -> None:
    wrong = []
    with groups(ranks, bits=6, all_gather=True) as (hlq, gloo):
        for number, function in enumerate(GATHERS, 1):
            x = numbers(ranks)
            y, due = function(hlq, x), function(gloo, x).double()
            # n-1 copies of the code within the budget of (n-1) × count: one leg at 6 bits.
            small = 0 < vnmse(y, due) < bound("twoshot", 6, ranks.size)
            counted = hlqtorch.stats(hlq).calls == number
            if not (small and counted and ranks.same_bits(y)):
                wrong.append((function.__name__, vnmse(y, due), counted))
    assert not wrong


def check_all_to_all(ranks: Ranks) -> None:
    n, me = ranks.size, ranks.rank
    with groups(ranks, bits=4) as (hlq, _):
        parts = [torch.full((COUNT,), 10.0 * me + p) for p in range(n)]
        single = torch.empty(COUNT * n)
        dist.all_to_all_single(single, torch.cat(parts), group=hlq)
        got = [torch.empty(COUNT) for _ in range(n)]
        if torch.__version__.startswith("2.11."):  # whose gloo has none of lists
            got = list(single.chunk(n))
        else:
            dist.all_to_all(got, parts, hlq)
        # Rank r sends p + 1 numbers r to rank p.
        uneven = torch.empty((me + 1) * n)
        sent = torch.full((n * (n + 1) // 2,), float(me))
        counts = [p + 1 for p in range(n)]
        dist.all_to_all_single(uneven, sent, [me + 1] * n, counts, group=hlq)
    assert all(torch.equal(got[r], torch.full((COUNT,), 10.0 * r + me)) for r in range(n))
    assert torch.equal(single, torch.cat(got))
    assert torch.equal(uneven, torch.arange(n).repeat_interleave(me + 1).float())


def check_ways_to_opt_in(ranks: Ranks) -> None:
    x = numbers(ranks)
    made = {}

    def errors_of(group: dist.ProcessGroup) -> dict[str, bool]:
        def is_exact() -> bool:
            return torch.equal(all_reduce(group, x, dist.ReduceOp.SUM), due)

        due = all_reduce(dist.group.WORLD, x, dist.ReduceOp.SUM)
        seen = {"plain": is_exact()}
        with compressed(bits=5):
            seen["compressed"] = is_exact()
            with exact():
                seen["exact within"] = is_exact()
            seen["compressed again"] = is_exact()
            with compressed(min_bytes=10**9):
                seen["floor"] = is_exact()
        seen["plain again"] = is_exact()
        return seen

    with groups(ranks) as (hlq, _):
        made["none"] = errors_of(hlq)
    with groups(ranks, bits=4) as (hlq, _):
        made["options"] = errors_of(hlq)
    os.environ["HLQ_BITS"] = "4"
    with groups(ranks) as (hlq, _):
        made["environment"] = errors_of(hlq)
    del os.environ["HLQ_BITS"]
    inner = {"compressed": False, "exact within": True, "compressed again": False, "floor": True}
    assert made["none"] == {"plain": True, **inner, "plain again": True}
    for name in ("options", "environment"):
        assert made[name] == {"plain": False, **inner, "plain again": False}, name


def check_tensors_of_any_layout(ranks: Ranks) -> None:
    x = numbers(ranks).view(300, 400)
    with groups(ranks, bits=6) as (hlq, _):
        transposed, strided = x.clone().t(), torch.zeros(300, 800)[:, ::2].copy_(x)
        dist.all_reduce(transposed, group=hlq)
        dist.all_reduce(strided, group=hlq)
        calls = hlqtorch.stats(hlq).calls
    due = ranks.exact_sum(x)
    limit = bound("oneshot" if ranks.size == 2 else "twoshot", 6, ranks.size)
    assert calls == 2
    assert vnmse(transposed.t(), due) < limit and vnmse(strided, due) < limit


def check_bounds_are_kept(ranks: Ranks) -> None:
    x = numbers(ranks)
    y = x.clone()
    with groups(ranks, max_error=0.01) as (hlq, _):
        dist.all_reduce(y, group=hlq)
        calls = hlqtorch.stats(hlq).calls
    worst = (y.double() - ranks.exact_sum(x)).abs().max().item()
    assert calls == 1 and 0 < worst <= 0.01


def check_works_and_futures(ranks: Ranks) -> None:
    x = numbers(ranks)
    with groups(ranks, bits=4) as (hlq, _):
        due = all_reduce(hlq, x, dist.ReduceOp.SUM)
        tensors = [x.clone() for _ in range(6)]
        works = [dist.all_reduce(tensor, group=hlq, async_op=True) for tensor in tensors]
        barrier = dist.barrier(hlq, async_op=True)
        twice = works[0].get_future().then(lambda future: 2 * future.value()[0])
        barrier.wait()
        ended = [work.is_completed() for work in works]
        for work in works:
            work.wait()
    assert all(ended), "the barrier did not wait for the collectives before it"
    assert all(work.is_success() for work in works)
    assert all(torch.equal(tensor, due) for tensor in tensors)
    assert torch.equal(twice.wait(), 2 * due)
    (value,) = works[1].get_future().wait()
    assert value.data_ptr() == tensors[1].data_ptr()


def check_groups_of_some_ranks(ranks: Ranks) -> None:
    made = dist.new_group([0, 1], backend="hlq", pg_options=HLQOptions(bits=6))
    split = None
    with groups(ranks, bits=6) as (hlq, _):
        part = hlq.split_group(
            [0, 1], group_name="first_two", timeout=datetime.timedelta(seconds=9)
        )
        x = numbers(ranks)
        due = sum(ranks.gather(x)[:2]).double()
        if ranks.rank < 2:
            whole = all_reduce(made, x, dist.ReduceOp.SUM)
            split = x.clone()
            part.allreduce([split]).wait()
            sent = hlqtorch.stats(made).bytes_sent
            options = part._get_backend(torch.device("cpu")).options
            part.shutdown()
    if ranks.rank >= 2:
        assert part is None
        return
    assert 0 < vnmse(whole, due) < bound("oneshot", 6, 2)
    assert torch.equal(split, whole) and sent > 0
    assert options._timeout == datetime.timedelta(seconds=9)
    assert list(options.global_ranks_in_group) == [0, 1]


def check_debug_level_detail(ranks: Ranks) -> None:
    before = dist.get_debug_level()
    dist.set_debug_level(dist.DebugLevel.DETAIL)
    with groups(ranks, bits=4) as (hlq, _):
        dist.set_debug_level(before)
        x = numbers(ranks)
        wrapper = type(hlq._get_backend(torch.device("cpu"))).__name__
        y = all_reduce(hlq, x, dist.ReduceOp.SUM)
        stats = hlqtorch.stats(hlq)
        mismatch = None
        try:
            all_reduce(hlq, x[: len(x) - ranks.rank], dist.ReduceOp.SUM)
        except RuntimeError as error:
            mismatch = error
        same = ranks.same_bits(y)
    assert wrapper == "_ProcessGroupWrapper" and stats.calls == 1 and same
    assert "mismatch" in str(mismatch), "DETAIL compares shapes before hlq does"


def check_monitored_barrier_and_sequence_numbers(ranks: Ranks) -> None:
    with groups(ranks, bits=4) as (hlq, _):
        backend = hlq._get_backend(torch.device("cpu"))
        before = backend._get_sequence_number_for_group()
        all_reduce(hlq, numbers(ranks), dist.ReduceOp.SUM)
        all_reduce(hlq, numbers(ranks, SMALL), dist.ReduceOp.SUM)
        counted = backend._get_sequence_number_for_group() - before
        hlq.monitored_barrier(datetime.timedelta(seconds=10))
        missing = None
        if ranks.rank == 0:
            try:
                hlq.monitored_barrier(datetime.timedelta(seconds=0.2), wait_all_ranks=True)
            except RuntimeError as error:
                missing = error
        dist.barrier()
    assert counted == 2
    if ranks.rank == 0:
        assert ", ".join(map(str, range(1, ranks.size))) in str(missing)
