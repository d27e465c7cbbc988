"""Checks of Comm, the all-reduce of one tensor; run on every rank by ranks.py."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from hlqtorch import HLQError
from hlqtorch.dist.connect import connect
from hlqtorch.errors import CLASSES
from torch import Tensor

if TYPE_CHECKING:
    from ranks import Ranks

LOSSY = ("twoshot", "oneshot", "modq")
COUNT = 100_003  # prime: neither blocks nor ranks divide it
ERRORS = {cls.status_name: cls for cls in CLASSES.values()}


def uniform_vnmse(bits: float, legs: int, spread: float = 1.0) -> float:
    """‖error‖² / ‖sum‖² of plain uniform quantization of Gaussian numbers, the bound used here.

    A quantizer that spends `bits` on the range ±4 σ · spread has steps of 8 σ · spread / 2^bits and
    an error of a twelfth of the square, once per leg. Errors of n ranks add up as their numbers do.
    Lattice codes with planned bits have no excuse for more.
    """
    return legs * (8 * spread / 2**bits) ** 2 / 12


def bound(algorithm: str, bits: float, ranks: int) -> float:
    """uniform_vnmse() for what an algorithm makes of its bits."""
    if algorithm == "oneshot":
        # Each code goes to n-1 others; within the budget of 2 (n-1) / n, it gets 2 / n of the bits.
        return uniform_vnmse(2 * bits / ranks, legs=1)
    if algorithm == "modq":
        # The range has to hold the sum, which is √n times as wide. One bit pays for checks,
        # exponents, and the margin that keeps nearly all sums inside.
        return uniform_vnmse(bits - 1, legs=1, spread=math.sqrt(ranks))
    return uniform_vnmse(bits, legs=2)


def vnmse(result: Tensor, exact: Tensor) -> float:
    """‖result - exact‖² / ‖exact‖²."""
    return float((result.double() - exact).square().sum() / exact.square().sum())


@contextlib.contextmanager
def raises(name: str, *words: str):  # noqa: ANN201
    """Asserts that the body raises the error of a status, with these words in its sentence."""
    try:
        yield
    except HLQError as error:
        assert isinstance(error, ERRORS[name]), f"{type(error).__name__}: {error}"
        assert error.status_name == name
        for word in words:
            assert word in str(error), f"'{word}' is not in: {error}"
    else:
        raise AssertionError(f"nothing was raised, {name} was due")


def check_all_ranks_get_the_same_bits(ranks: Ranks) -> None:
    comm = ranks.comm()
    differing = []
    for algorithm in ("auto", *LOSSY, "native"):
        for dtype in (torch.float32, torch.bfloat16):
            for count in (0, 1, 255, 256, 257, 10_007, COUNT):
                x = torch.randn(count).to(dtype)
                y = torch.empty_like(x)
                comm.all_reduce(x, y, algorithm=algorithm)
                if not ranks.same_bits(y):
                    differing.append((algorithm, dtype, count))
    assert not differing


def check_error_is_below_plain_quantization(ranks: Ranks) -> None:
    comm = ranks.comm()
    x = torch.randn(COUNT)
    exact = ranks.exact_sum(x)
    for bits in (4.0, 5.0, 8.0):
        for algorithm in LOSSY:
            y = torch.empty_like(x)
            comm.all_reduce(x, y, bits=bits, algorithm=algorithm)
            limit = bound(algorithm, bits, ranks.size)
            assert 0 < vnmse(y, exact) < limit, (algorithm, bits, vnmse(y, exact), limit)


def check_native_is_exact_to_fp32_rounding(ranks: Ranks) -> None:
    x = torch.randn(COUNT)
    y = torch.empty_like(x)
    ranks.comm().all_reduce(x, y, op="avg", algorithm="native")
    # Fewer than 2 n roundings of 2^-24 each; Gaussian sums of few terms do not cancel much.
    assert vnmse(y, ranks.exact_sum(x) / ranks.size) < (2 * ranks.size * 2**-24) ** 2


def check_average_is_the_sum_divided(ranks: Ranks) -> None:
    comm = ranks.comm()
    x = torch.randn(COUNT)
    total, average = torch.empty_like(x), torch.empty_like(x)
    comm.all_reduce(x, total, op="sum")
    comm.all_reduce(x, average, op="avg")
    # One rounding each; the codes are the same.
    assert torch.allclose(average * ranks.size, total, rtol=2**-22, atol=0)


def check_in_place_equals_out_of_place(ranks: Ranks) -> None:
    comm = ranks.comm()
    x = torch.randn(COUNT)
    kept, y = x.clone(), torch.empty_like(x)
    comm.all_reduce(x, y)
    assert torch.equal(x, kept), "input was written to"
    comm.all_reduce(x, x)
    assert torch.equal(x, y)


def check_bytes_sent_are_those_planned(ranks: Ranks) -> None:
    comm = ranks.comm()
    x = torch.randn(COUNT)
    budget = 2 * (ranks.size - 1) / ranks.size * COUNT / 8
    for bits in (2.0, 4.0, 6.5):
        for algorithm in LOSSY:
            plan = comm.plan(COUNT, torch.float32, bits=bits, algorithm=algorithm)
            comm.all_reduce(x, torch.empty_like(x), bits=bits, algorithm=algorithm)
            stats = comm.stats()
            where = (algorithm, bits, plan, stats)
            assert plan["algorithm"] == stats["algorithm"] == algorithm, where
            assert stats["count"] == COUNT, where
            # A rank whose part has a block more than another's sends a little more than its share.
            assert 0 < sum(ranks.gather(plan["wire_bytes"])) <= ranks.size * budget * bits, where
            # modq spends less than planned if no block needs it, and sends again what did not fit.
            if algorithm != "modq":
                assert stats["bytes_sent"] == plan["wire_bytes"], where
            elif stats["retries"] == 0:
                assert stats["bytes_sent"] <= plan["wire_bytes"], where
            sent, received = ranks.gather(stats["bytes_sent"]), ranks.gather(
                stats["bytes_received"]
            )
            assert sum(sent) == sum(received), where


def check_what_was_not_sent_is_in_the_residuals(ranks: Ranks) -> None:
    comm = ranks.comm()
    for algorithm in LOSSY:
        residual = torch.zeros(COUNT)
        for _ in range(3):
            x, y, before = torch.randn(COUNT), torch.empty(COUNT), residual.clone()
            comm.all_reduce(x, y, algorithm=algorithm, residual=residual)
            # Σ (x + r before) = sent + Σ (r after), summed over the ranks.
            owed = ranks.exact_sum(x) + ranks.exact_sum(before) - ranks.exact_sum(residual)
            # What is left is fp32 arithmetic on numbers of size 1: 2^-24 each, a few of them per
            # block of 256, squared.
            assert vnmse(y, owed) < 1e-10, (algorithm, vnmse(y, owed))
        assert residual.abs().max() > 0, algorithm


def check_error_feedback_makes_the_mean_exact(ranks: Ranks) -> None:
    comm = ranks.comm(bits=3.0)
    calls = 16
    x = torch.randn(COUNT)
    exact = ranks.exact_sum(x) / ranks.size
    for algorithm in LOSSY:
        with_feedback = torch.zeros(COUNT, dtype=torch.float64)
        without = torch.zeros(COUNT, dtype=torch.float64)
        y, residual = torch.empty_like(x), torch.zeros_like(x)
        for _ in range(calls):
            comm.all_reduce(x, y, op="avg", algorithm=algorithm)
            without += y.double() / calls
            comm.all_reduce(x, y, op="avg", algorithm=algorithm, residual=residual)
            with_feedback += y.double() / calls
        # The errors of all calls but the last have been made up for: the mean is off by one call's
        # error over `calls`, squared 1/256. Without, every call makes the same error (nearly so
        # with modq, which learns its range). A quarter of the gain is asked for.
        gain = vnmse(without, exact) / vnmse(with_feedback, exact)
        assert gain > calls**2 / 4, (algorithm, gain)


def check_nan_and_inf_reach_all_ranks(ranks: Ranks) -> None:
    comm = ranks.comm()
    for algorithm in (*LOSSY, "native"):
        for value in (math.nan, math.inf, -math.inf):
            x = torch.randn(4096)
            if ranks.rank == ranks.size - 1:
                x[1000] = value  # in block 3, numbers 768 … 1023
            y, residual = torch.empty_like(x), torch.zeros_like(x)
            comm.all_reduce(x, y, algorithm=algorithm, residual=residual)
            assert not y[1000].isfinite(), (algorithm, value)
            if algorithm != "native":
                assert y[768:1024].isnan().all(), (algorithm, value)
            assert y[:768].isfinite().all() and y[1024:].isfinite().all(), (algorithm, value)
            assert residual.isfinite().all(), (algorithm, value)
            assert ranks.same_bits(y), (algorithm, value)


def check_zeros_stay_zeros(ranks: Ranks) -> None:
    x = torch.zeros(COUNT)
    ranks.comm().all_reduce(x, x)
    assert torch.equal(x, torch.zeros(COUNT))


def check_one_rank_with_a_bad_tensor_fails_all(ranks: Ranks) -> None:
    comm = ranks.comm()
    good = torch.randn(1000)
    for bad, words in (
        (good.double(), ["Double", "float32"]),
        (torch.randn(2000)[::2], ["contiguous"]),
        (torch.empty(1000, device="meta"), ["meta", "host memory"]),
    ):
        if ranks.rank == 1:
            with raises("HLQ_E_INVALID", *words):
                comm.all_reduce(bad, bad)
        else:
            with raises("HLQ_E_REMOTE", "rank 1"):
                comm.all_reduce(good, good.clone())
        comm.all_reduce(good, good.clone())  # and the communicator works on


def check_bad_arguments_fail_with_a_sentence(ranks: Ranks) -> None:
    comm = ranks.comm()
    x = torch.randn(1000)
    for words, arguments in (
        (["output", "999"], {"output": torch.empty(999)}),
        (["output", "BFloat16"], {"output": x.bfloat16()}),
        (["residual", "Double"], {"residual": torch.zeros(1000, dtype=torch.float64)}),
        (["residual", "10"], {"residual": torch.zeros(10)}),
        (["max", "sum, avg"], {"op": "max"}),
        (["fastest", "twoshot"], {"algorithm": "fastest"}),
        (["bits"], {"bits": -4.0}),
        (["bits"], {"bits": math.nan}),
    ):
        with raises("HLQ_E_INVALID", *words):
            comm.all_reduce(**{"input": x, "output": x.clone()} | arguments)
    with raises("HLQ_E_INVALID", "count"):
        comm.plan(-1, torch.float32)
    with raises("HLQ_E_INVALID", "Int"):
        comm.plan(1, torch.int32)
    comm.all_reduce(x, x.clone())
    comm.close()
    comm.close()
    with raises("HLQ_E_INVALID", "closed"):
        comm.all_reduce(x, x)


def check_ranks_that_disagree_all_get_an_error(ranks: Ranks) -> None:
    comm = ranks.comm()
    x = torch.randn(1000 + (ranks.rank == 1))
    with raises("HLQ_E_MISMATCH", "1001"):
        comm.all_reduce(x, x)
    with raises("HLQ_E_MISMATCH"):
        comm.all_reduce(x, x, bits=4.0 + (ranks.rank == 1))
    with raises("HLQ_E_MISMATCH", "bits"):
        ranks.comm(bits=3.0 + (ranks.rank == 1))
    with raises("HLQ_E_INVALID", "bits"):
        ranks.comm(bits=-1.0)
    with raises("HLQ_E_INVALID", "A2", "E8, D4, Z"):
        ranks.comm(lattice="A2")


def check_a_missing_rank_is_a_timeout(ranks: Ranks) -> None:
    comm = connect(None, ranks.transport, timeout=2.0)[0]
    x = torch.randn(1000)
    if ranks.rank == 1:
        time.sleep(3.5)
    else:
        with raises("HLQ_E_TIMEOUT"):
            comm.all_reduce(x, x)
        with raises("HLQ_E_BROKEN"):
            comm.all_reduce(x, x)
    ranks.gather(None)
    comm.close()
    ranks.comm().all_reduce(x, x)  # the process works on


def check_ranks_may_be_in_other_groups(ranks: Ranks) -> None:
    of_one = [dist.new_group([0], backend="gloo") for _ in range(2)]
    first, second = ranks.comm(), ranks.comm()
    if ranks.rank == 0:
        dist.destroy_process_group(of_one[0])
    third = ranks.comm()
    results = []
    for comm in (second, third, first):
        x = torch.full((COUNT,), 1.0 + ranks.rank)
        comm.all_reduce(x, x, algorithm="native")
        results.append(x)
    total = float(sum(range(1, ranks.size + 1)))
    assert all(torch.equal(x, torch.full((COUNT,), total)) for x in results)


def check_a_rank_that_cannot_call_fails_all(ranks: Ranks) -> None:
    comm = ranks.comm()
    x = torch.randn(1000)
    if ranks.rank == 0:
        comm.refuse()
    else:
        with raises("HLQ_E_REMOTE", "rank 0"):
            comm.all_reduce(x, x.clone())
    comm.all_reduce(x, x)
    assert ranks.same_bits(x)


def check_reduce_scatter_gives_each_rank_its_part(ranks: Ranks) -> None:
    comm = ranks.comm()
    x = torch.randn(ranks.size * 30_011)
    exact = ranks.exact_sum(x).chunk(ranks.size)[ranks.rank]
    mine = torch.empty(30_011)
    comm.reduce_scatter(x, mine, bits=4.0, algorithm="oneshot")
    stats = comm.stats()
    plan = comm.plan(
        30_011, torch.float32, bits=4.0, algorithm="oneshot", operation="reduce_scatter"
    )
    in_place = x.clone()
    part = in_place.chunk(ranks.size)[ranks.rank]
    comm.reduce_scatter(in_place, part, bits=4.0, algorithm="oneshot")
    assert 0 < vnmse(mine, exact) < uniform_vnmse(4.0, legs=1)
    assert torch.equal(part, mine)
    assert stats["operation"] == "reduce_scatter"
    assert stats["bytes_sent"] == plan["wire_bytes"] <= (ranks.size - 1) * 30_011 * 4 / 8


def check_reduce_scatter_keeps_what_it_did_not_send(ranks: Ranks) -> None:
    comm = ranks.comm()
    x, mine = torch.randn(ranks.size * 30_011), torch.empty(30_011)
    residual = torch.randn(ranks.size * 30_011)
    before = residual.clone()
    comm.reduce_scatter(x, mine, op="avg", residual=residual, algorithm="oneshot")
    change = ranks.exact_sum(before) - ranks.exact_sum(residual)
    owed = (ranks.exact_sum(x) + change).chunk(ranks.size)[ranks.rank] / ranks.size
    assert vnmse(mine, owed) < 1e-10  # as in the all-reduce
    others = [part for p, part in enumerate(residual.chunk(ranks.size)) if p != ranks.rank]
    assert min(float(part.abs().max()) for part in others) > 0


def check_all_gather_is_the_same_on_all_ranks(ranks: Ranks) -> None:
    comm = ranks.comm()
    mine = torch.randn(30_011)
    exact = torch.cat(ranks.gather(mine))
    whole = torch.empty(ranks.size * 30_011)
    comm.all_gather(mine, whole, bits=6.0, algorithm="oneshot")
    in_place = torch.zeros_like(whole)
    part = in_place.chunk(ranks.size)[ranks.rank]
    part.copy_(mine)
    comm.all_gather(part, in_place, bits=6.0, algorithm="oneshot")
    assert comm.stats()["operation"] == "all_gather"
    assert ranks.same_bits(whole) and torch.equal(whole, in_place)
    assert 0 < vnmse(whole, exact.double()) < uniform_vnmse(6.0, legs=1)


def check_max_error_bounds_every_number(ranks: Ranks) -> None:
    x, y = torch.randn(COUNT), torch.empty(COUNT)
    exact = ranks.exact_sum(x) / ranks.size
    largest = float(torch.cat(ranks.gather(x)).abs().max())
    sent = []
    for limit in (1e-1, 1e-3):
        of_call, of_comm = ranks.comm(), ranks.comm(max_error=limit)
        of_call.all_reduce(x, y, op="avg", max_error=limit, algorithm="twoshot")
        sent.append(of_call.stats()["bytes_sent"])
        z = torch.empty_like(y)
        of_comm.all_reduce(x, z, op="avg", algorithm="twoshot")
        # Besides, float32 rounds, by a millionth of the largest number.
        assert float((y.double() - exact).abs().max()) <= limit + 1e-6 * largest, limit
        assert torch.equal(y, z), limit
    assert sent[0] < sent[1]


def check_sizes_that_do_not_fit_get_a_sentence(ranks: Ranks) -> None:
    comm = ranks.comm()
    x = torch.randn(1000)
    with raises("HLQ_E_INVALID", "no reduce_scatter", "1000"):
        comm.reduce_scatter(x, torch.empty(1000))
    with raises("HLQ_E_INVALID", "no all_gather", "1001"):
        comm.all_gather(x, torch.empty(1001))
    with raises("HLQ_E_INVALID", "bits", "max_error"):
        comm.all_reduce(x, x, bits=4.0, max_error=0.1, algorithm="twoshot")
    with raises("HLQ_E_INVALID", "everything"):
        comm.plan(1, torch.float32, operation="everything")
    comm.all_reduce(x, x.clone())
