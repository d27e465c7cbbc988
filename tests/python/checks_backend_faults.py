"""Checks of backend hlq: how it fails, on which ranks, and with what sentence; run by ranks.py."""

from __future__ import annotations

import contextlib
import datetime
from typing import TYPE_CHECKING

import hlqtorch
import torch
import torch.distributed as dist
from checks_backend import COUNT, all_reduce, groups, numbers
from checks_comm import raises
from hlqtorch import compressed

if TYPE_CHECKING:
    from ranks import Ranks


def check_wrong_calls_raise_on_all_ranks(ranks: Ranks) -> None:
    x = numbers(ranks)
    with groups(ranks, bits=4) as (hlq, _):
        with raises("HLQ_E_MISMATCH", "bits"), compressed(bits=4 + ranks.rank % 2):
            all_reduce(hlq, x, dist.ReduceOp.SUM)
        raised = None
        output = torch.empty(COUNT // ranks.size + (ranks.rank == 1))
        try:
            dist.reduce_scatter_tensor(output, x, group=hlq)
        except RuntimeError as error:
            raised = error
        after = all_reduce(hlq, x, dist.ReduceOp.SUM)
        same = ranks.same_bits(after)
    if ranks.rank == 1:
        assert f"output has {COUNT // ranks.size + 1} elements" in str(raised)
    else:
        assert isinstance(raised, hlqtorch.HLQError) and "rank 1" in str(raised)
    assert same, "the group does not work on"


def check_groups_with_different_options_are_refused(ranks: Ranks) -> None:
    raised = None
    try:
        ranks.group(bits=4 if ranks.rank == 0 else 5)
    except ValueError as error:
        raised = error
    assert f"ranks {list(range(1, ranks.size))} of the group were given other" in str(raised)
    try:
        dist.new_group(backend="hlq", pg_options=object())
    except TypeError as error:
        raised = error
    assert "must be hlqtorch.HLQOptions, not object" in str(raised)


def check_a_rank_that_stays_away_is_a_timeout(ranks: Ranks) -> None:
    x = numbers(ranks)
    with groups(ranks, bits=4, timeout=3.0) as (hlq, _):
        all_reduce(hlq, x, dist.ReduceOp.SUM)
        if ranks.rank != 1:
            with raises("HLQ_E_TIMEOUT", "did not answer within 3 s"):
                all_reduce(hlq, x, dist.ReduceOp.SUM)
        kind = str(hlq._get_backend(torch.device("cpu")).get_error())
        dist.barrier()
    assert kind == ("ErrorType.SUCCESS" if ranks.rank == 1 else "ErrorType.TIMEOUT")


def check_a_group_shut_down_says_so(ranks: Ranks) -> None:
    x = numbers(ranks)
    with groups(ranks, bits=4) as (hlq, _):
        work = dist.all_reduce(x.clone(), group=hlq, async_op=True)
        hlq.shutdown()
        ended = work.is_success()
        with raises("HLQ_E_INVALID", "the process group was shut down"):
            all_reduce(hlq, x, dist.ReduceOp.SUM)
    assert ended, "shutdown waits for what was begun"


def check_abort_ends_what_is_under_way(ranks: Ranks) -> None:
    x = numbers(ranks)
    forever = 600.0  # seconds; if abort waited for it, the job would end first
    with groups(ranks, bits=4, timeout=forever) as (hlq, _):
        all_reduce(hlq, x, dist.ReduceOp.SUM)
        if ranks.rank == 0:
            works = [dist.all_reduce(x.clone(), group=hlq, async_op=True) for _ in range(2)]
            hlq.abort()
            for work in works:
                with raises("HLQ_E_BROKEN", "aborted"):
                    work.wait()
            with raises("HLQ_E_BROKEN", "aborted"):
                all_reduce(hlq, x, dist.ReduceOp.SUM)
        dist.barrier()


def check_one_rank_alone_is_compressed(ranks: Ranks) -> None:
    """The others' calls are exact. Each waits for its own kind until the timeout."""
    x = numbers(ranks)
    seen = []
    for is_first in (True, False):  # call that needs a communicator; with one at hand
        limit = datetime.timedelta(seconds=3)
        group = dist.new_group(backend="hlq", timeout=limit)
        if not is_first:
            with compressed():
                all_reduce(group, x, dist.ReduceOp.SUM)
        inside = compressed() if ranks.rank == 1 else contextlib.nullcontext()
        try:
            with inside:
                all_reduce(group, x, dist.ReduceOp.SUM)
        except RuntimeError as error:
            seen.append(error)
        dist.barrier()
        dist.destroy_process_group(group)
    assert len(seen) == 2
    if ranks.rank != 1:
        assert not any(isinstance(error, hlqtorch.HLQError) for error in seen), "gloo's own errors"
        return
    others = [rank for rank in range(ranks.size) if rank != 1]
    for error in seen:
        assert isinstance(error, TimeoutError) and "within 3 s" in str(error), error
        assert "a rank that is alive may have made this call outside of" in str(error), error
    assert str(seen[0]).startswith(f"ranks {others} did not come to the group's first"), seen[0]
