"""Checks of dither, topology, threads, wherever they can be asked for; run by ranks.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from checks_backend import groups, numbers
from checks_comm import COUNT, bound, raises, uniform_vnmse, vnmse
from checks_fsdp import alone, exact_average, shard, whole, wide
from checks_fsdp import backward as fsdp_backward
from checks_hook import backward, flat, inputs, local_gradients, make
from checks_hook_options import must_fail
from hlqtorch import HLQOptions, compressed
from hlqtorch.dist.fsdp import HLQFSDPState, HLQReduceScatter, Link

if TYPE_CHECKING:
    from collections.abc import Callable

    from ranks import Ranks
    from torch import Tensor

CALLS = 16


def settles(one: Callable[[], Tensor], exact: Tensor, largest: float) -> None:
    """Asserts that results of the same call differ, and that their mean is nearer than each.

    Errors of mean 0 that do not depend on each other leave 1/CALLS of the squared error in the
    mean; without dither, all of it. Half of the gain is asked for.

    Args:
        one: makes one result.
        exact: what it should be.
        largest: vNMSE that no result may exceed.
    """
    results = [one().double() for _ in range(CALLS)]
    errors = [vnmse(result, exact) for result in results]
    mean = vnmse(sum(results) / CALLS, exact)
    assert all(not torch.equal(results[0], other) for other in results[1:])
    assert 0 < max(errors) < largest, errors
    assert mean < sum(errors) / CALLS / (CALLS / 2), (mean, errors)


def dithered(limit: float) -> float:
    """The same limit with dither: at 4 bits, up to 3 times the squared error (hlqcomm.h)."""
    return 3 * limit


def check_dither_of_comm(ranks: Ranks) -> None:
    x = numbers(ranks, COUNT)
    exact = ranks.exact_sum(x)
    comm, again = ranks.comm(dither=True), ranks.comm(dither=True)
    other, plain = ranks.comm(dither=True, seed=1), ranks.comm(dither=False)

    def sum_of(comm: object) -> Tensor:
        y = torch.empty_like(x)
        comm.all_reduce(x, y, bits=4.0, algorithm="twoshot")
        return y

    firsts = [sum_of(each) for each in (comm, again, other)]
    same, once, twice = ranks.same_bits(*firsts), sum_of(plain), sum_of(plain)
    settles(lambda: sum_of(comm), exact, dithered(bound("twoshot", 4.0, ranks.size)))
    assert same and torch.equal(firsts[0], firsts[1]), "seed and number of the call say all"
    assert not torch.equal(firsts[0], firsts[2]), "another seed, another dither"
    assert torch.equal(once, twice), "without, every call is alike"


def check_dither_of_the_hook(ranks: Ranks) -> None:
    state = ranks.state(dither=True, error_feedback=False, algorithm="twoshot")
    model = make(state)
    x = inputs(ranks, 0)
    backward(model, x)  # DDP regroups its buckets after the first step
    exact = ranks.exact_sum(flat(local_gradients(model, x))) / ranks.size
    limit = dithered(uniform_vnmse(4.0, legs=2))
    settles(lambda: flat(backward(model, x)), exact, limit)


def check_dither_of_fsdp(ranks: Ranks) -> None:
    x = inputs(ranks, 0)
    exact = wide(exact_average(ranks, x))
    model = shard(alone())
    HLQFSDPState(model, link=Link(ranks.transport, timeout=20.0, dither=True))

    def gradient() -> Tensor:
        fsdp_backward(model, x)
        return wide(whole(model))

    settles(gradient, exact, dithered(uniform_vnmse(4.0, legs=1)))


def check_dither_of_the_backend(ranks: Ranks) -> None:
    x = numbers(ranks)
    exact = ranks.exact_sum(x)
    with groups(ranks, bits=4, algorithm="twoshot", dither=True) as (hlq, _):

        def total() -> Tensor:
            y = x.clone()
            dist.all_reduce(y, group=hlq)
            return y

        settles(total, exact, dithered(bound("twoshot", 4.0, ranks.size)))
        with raises("HLQ_E_UNSUPPORTED", "modq has no dither"), compressed(algorithm="modq"):
            total()
        after = total()
    assert vnmse(after, exact) > 0, "the group works on"


def everywhere(ranks: Ranks, own: dict[str, object], **call: object) -> tuple[Tensor, ...]:
    """Results of all that takes these options: of a communicator, and those that share them."""
    x = numbers(ranks, COUNT)
    comm = ranks.comm(**own, **call)
    y, mine = torch.empty_like(x), torch.empty(COUNT // ranks.size)
    comm.all_reduce(x, y)
    comm.reduce_scatter(x[: len(mine) * ranks.size], mine)
    with groups(ranks, **own, **call) as (hlq, _):
        z = x.clone()
        dist.all_reduce(z, group=hlq)
    state = ranks.state(error_feedback=False, **own, **call)
    gradients = flat(backward(make(state), inputs(ranks, 0)))
    model = shard(alone())
    link = Link(ranks.transport, timeout=20.0, **own)
    HLQFSDPState(model, link=link, **call)
    fsdp_backward(model, inputs(ranks, 0))
    link.close()
    return (y, mine, z, gradients, wide(whole(model)))


def check_modq_around_a_ring(ranks: Ranks) -> None:
    results = [
        everywhere(ranks, {"topology": topology}, algorithm="modq", bits=5.0)
        for topology in ("all_to_all", "ring", "auto")
    ]
    exact = ranks.exact_sum(numbers(ranks, COUNT))
    assert ranks.same_bits(results[0][0])
    assert 0 < vnmse(results[0][0], exact) < bound("modq", 5.0, ranks.size)
    for other in results[1:]:
        assert all(torch.equal(*pair) for pair in zip(results[0], other, strict=True))


def check_threads_change_no_bits(ranks: Ranks) -> None:
    results = [
        everywhere(ranks, {"threads": threads}, algorithm="twoshot")
        for threads in (0, 3, 1 + ranks.rank)  # ranks may differ
    ]
    for other in results[1:]:
        assert all(torch.equal(*pair) for pair in zip(results[0], other, strict=True))


def check_ranks_agree_on_options(ranks: Ranks) -> None:
    with raises("HLQ_E_MISMATCH", "topology", "ring"):
        ranks.comm(topology="ring" if ranks.rank == 1 else "all_to_all")
    with raises("HLQ_E_MISMATCH", "topology", "ring"):
        ranks.state(topology="ring" if ranks.rank == 1 else "all_to_all")
    with raises("HLQ_E_MISMATCH", "dither"):
        ranks.comm(dither=ranks.rank == 1)
    must_fail(lambda: ranks.group(bits=4, dither=ranks.rank != 0), "other options", "dither=")
    must_fail(lambda: ranks.group(bits=4, topology="ring" if ranks.rank else "auto"), "topology=")


def check_bad_options(ranks: Ranks) -> None:
    link = Link(ranks.transport, timeout=20.0, dither=True)
    for make_one in (ranks.comm, ranks.state, HLQOptions):
        with raises("HLQ_E_INVALID", "topology 'star' does not exist; there is auto"):
            make_one(topology="star")
        with raises("HLQ_E_INVALID", "dither is neither 0 nor 1"):
            make_one(dither=2)
        with raises("HLQ_E_INVALID", "threads is not 0 … 256"):
            make_one(threads=257)
        with raises("HLQ_E_INVALID", "bits is below 2.4, the least for dither"):
            make_one(dither=True, bits=2.0)
        with raises("HLQ_E_INVALID", "bound mode has no dither"):
            make_one(dither=True, max_error=0.1)
        with raises("HLQ_E_UNSUPPORTED", "modq has no dither"):
            make_one(dither=True, algorithm="modq")
    with raises("HLQ_E_INVALID", "topology 'star' does not exist; there is auto"):
        Link(topology="star")
    with raises("HLQ_E_INVALID", "bits is below 2.4"):
        HLQReduceScatter(2.0, link=link)
    with raises("HLQ_E_UNSUPPORTED", "modq has no dither"):
        HLQReduceScatter(algorithm="modq", link=link)
    raised = None
    try:
        ranks.comm(dither="much")
    except TypeError as error:
        raised = error
    assert "option 'dither' cannot be 'much'" in str(raised)
