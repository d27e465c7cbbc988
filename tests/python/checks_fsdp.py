"""Checks of compressed collectives under FSDP2; run on every rank by ranks.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from checks_comm import ERRORS, raises, uniform_vnmse, vnmse
from checks_hook import WIDTH, flat, inputs
from checks_hook_options import EXACT, must_fail
from hlqtorch.dist.fsdp import HLQAllGather, HLQFSDPState, HLQReduceScatter, Link
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

if TYPE_CHECKING:
    from ranks import Ranks


class Stack(nn.Module):
    """Two wide layers and a narrow one; the wide ones become FSDP modules of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        self.last = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.first(x).tanh()).tanh())


def alone() -> Stack:
    """The model as it is before it is sharded, the same on all ranks."""
    torch.manual_seed(1)
    return Stack()


def shard(model: Stack, **options: object) -> Stack:
    """Shards it in place: first, second, and the root with the rest."""
    for layer in (model.first, model.second):
        fully_shard(layer, **options)
    return fully_shard(model, **options)


def link(ranks: Ranks) -> Link:
    return Link(ranks.transport, timeout=20.0)


def sharded(ranks: Ranks, **options: object) -> tuple[Stack, HLQFSDPState]:
    model = shard(alone())
    return model, HLQFSDPState(model, link=link(ranks), **options)


def whole(model: nn.Module) -> dict[str, Tensor]:
    """The averaged gradients, gathered from all shards."""
    return {name: p.grad.full_tensor() for name, p in model.named_parameters()}


def backward(model: nn.Module, x: Tensor) -> None:
    model.zero_grad()
    model(x).square().mean().backward()


def exact_average(ranks: Ranks, x: Tensor) -> dict[str, Tensor]:
    """Of the gradients of all ranks at the first weights, in fp64."""
    model = alone()
    backward(model, x)
    return {n: ranks.exact_sum(p.grad) / ranks.size for n, p in model.named_parameters()}


def wide(tensors: dict[str, Tensor]) -> Tensor:
    """Those of the two wide layers, which are above the floor, as one tensor."""
    return flat({name: value for name, value in tensors.items() if "last" not in name})


def check_fsdp_gradients_are_the_average(ranks: Ranks) -> None:
    for forced in (False, True):
        model, state = sharded(ranks)
        for module in (model, model.first, model.second):
            module.set_force_sum_reduction_for_comms(forced)  # SUM and a division, in place of AVG
        x = inputs(ranks, 0)
        exact = exact_average(ranks, x)
        for _ in range(2):
            backward(model, x)
            got = whole(model)
            assert 0 < vnmse(wide(got), wide(exact)) < uniform_vnmse(4.0, legs=1), forced
            assert vnmse(got["last.weight"], exact["last.weight"]) < EXACT, "below the floor"
        assert state.stats().calls == 4
        assert state.state_dict()["residuals"] == {}


def check_fsdp_bytes_are_counted_and_planned(ranks: Ranks) -> None:
    model, state = sharded(ranks, bits=3.0, algorithm="oneshot")
    steps = 3
    for step in range(steps):
        backward(model, inputs(ranks, step))
    stats = state.stats()
    padded = -(-WIDTH // ranks.size) * (WIDTH + 1)  # elements of a shard of one layer
    assert stats.elements == steps * 2 * padded
    assert 0 < stats.bytes_sent == stats.plan_bytes
    assert stats.bytes_sent <= steps * 2 * (ranks.size - 1) * padded * 3 / 8
    state.reset_stats()
    assert state.stats().calls == 0


def check_fsdp_small_modules_are_exact(ranks: Ranks) -> None:
    model, state = sharded(ranks, min_bytes=1 << 30, all_gather_bits=2.0, error_feedback=True)
    x = inputs(ranks, 0)
    backward(model, x)
    exact = exact_average(ranks, x)
    assert vnmse(flat(whole(model)), flat(exact)) < EXACT
    assert state.stats().calls == 0


def check_fsdp_residuals_hold_what_was_not_sent(ranks: Ranks) -> None:
    model, state = sharded(ranks, bits=3.0, error_feedback=True)
    before = {name: torch.zeros(p.numel()) for name, p in alone().named_parameters()}
    for step in range(3):
        x = inputs(ranks, step)
        exact = exact_average(ranks, x)
        backward(model, x)
        got, after = whole(model), state.state_dict()["residuals"]
        assert after.keys() == exact.keys()
        for name, value in got.items():
            # average = mean of (g + r before - r after), as for DDP.
            paid = ranks.exact_sum(before[name] - after[name]) / ranks.size
            assert vnmse(value.flatten(), exact[name].flatten() + paid) < 1e-10, (step, name)
        assert flat(after).abs().max() > 0
        before = after
    state.scale_residuals(0.5)
    assert torch.equal(flat(state.state_dict()["residuals"]), flat(before) / 2)


def check_fsdp_mean_gradient_with_error_feedback(ranks: Ranks) -> None:
    steps, x, errors = 16, inputs(ranks, 0), []
    exact = wide(exact_average(ranks, x))
    for feedback in (True, False):
        model, _ = sharded(ranks, bits=3.0, error_feedback=feedback)
        mean = torch.zeros_like(exact)
        for _ in range(steps):
            backward(model, x)
            mean += wide(whole(model)).double() / steps
        errors.append(vnmse(mean, exact))
    # One step's error over `steps`, squared 1/256, beside one step's; a quarter of it is asked for.
    assert errors[0] < errors[1] / 64, errors


def check_fsdp_without_all_gradients(ranks: Ranks) -> None:
    """Parameters that take no part leave the packed gradients, and the residual as it is."""
    model, state = sharded(ranks, bits=3.0, error_feedback=True)
    backward(model, inputs(ranks, 0))
    before = state.state_dict()["residuals"]
    model.zero_grad()
    model.first.forward = lambda x: nn.functional.linear(x, model.first.weight)
    model(inputs(ranks, 1)).square().mean().backward()
    after = state.state_dict()["residuals"]
    assert model.first.bias.grad is None
    for name in ("first.weight", "first.bias"):
        assert torch.equal(before[name], after[name]), name
    assert not torch.equal(before["second.weight"], after["second.weight"])


def check_fsdp_mixed_precision(ranks: Ranks) -> None:
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.bfloat16)
    x, grads = inputs(ranks, 0), []
    for compress in (False, True):
        model = shard(alone(), mp_policy=policy)
        if compress:
            state = HLQFSDPState(model, error_feedback=True, min_bytes=32768, link=link(ranks))
        backward(model, x)
        grads.append(wide(whole(model)))
    assert grads[1].dtype == torch.float32, "shards of gradients have the parameters' dtype"
    assert state.stats().calls == 2
    # Beside the codes, gloo's bf16 sums round to 8 bits of mantissa, once per rank.
    limit = uniform_vnmse(4.0, legs=1) + ranks.size * 2**-16
    assert 0 < vnmse(grads[1], grads[0].double()) < limit


def check_fsdp_deferred_initialization(ranks: Ranks) -> None:
    with torch.device("meta"):
        model = Stack()
    shard(model)
    state = HLQFSDPState(model, error_feedback=True, link=link(ranks))
    model.to_empty(device="cpu")
    values = dict(alone().named_parameters())
    for name, parameter in model.named_parameters():
        mine = values[name].detach().chunk(ranks.size)
        local = parameter.to_local()
        if ranks.rank < len(mine):
            local.detach().copy_(mine[ranks.rank])
    other, _ = sharded(ranks, error_feedback=True)
    x = inputs(ranks, 0)
    for _ in range(2):
        backward(model, x)
        backward(other, x)
        assert torch.equal(flat(whole(model)), flat(whole(other)))
    assert state.stats().calls == 4
    assert sorted(state.state_dict()["residuals"]) == sorted(values)


def check_fsdp_parameters_over_few_bits(ranks: Ranks) -> None:
    model, state = sharded(ranks, all_gather_bits=8.0)
    x = torch.randn(8, WIDTH, generator=torch.Generator().manual_seed(3))  # the same on all ranks
    y, exact = model(x).detach(), alone()(x).detach()
    assert ranks.same_bits(y), "ranks see different parameters"
    # Weights and, through two layers, activations are off by 8 bits' error each.
    assert 0 < vnmse(y, exact.double()) < 4 * uniform_vnmse(8.0, legs=1)
    assert state.stats().calls == 2
    model.reshard()  # which the root is not after forward
    kept = flat({n: p.detach().full_tensor() for n, p in model.named_parameters()})
    assert torch.equal(kept, flat(dict(alone().named_parameters())).detach())


def check_fsdp_gather_goes_on_by_itself(ranks: Ranks) -> None:
    gather, n = HLQAllGather(link=link(ranks), min_bytes=0), 30_000
    mine, wanted = inputs(ranks, 0).repeat(24, 1).flatten()[:n], torch.empty(ranks.size * n)
    outputs = [torch.empty_like(wanted) for _ in range(3)]
    gather(wanted, mine, dist.group.WORLD)  # makes the communicator, too
    if ranks.rank == 0:
        dist.barrier()  # which the others reach if their calls have returned
    works = [gather(output, mine, dist.group.WORLD, async_op=True) for output in outputs]
    early = any(work.is_completed() for work in works)
    if ranks.rank != 0:
        dist.barrier()
    again = torch.empty_like(wanted)
    gather(again, mine, dist.group.WORLD)  # waits for its turn
    ended = all(work.is_completed() for work in works)
    calls = gather.stats().calls
    bad = gather(again[1:] if ranks.rank == 1 else again, mine, dist.group.WORLD, async_op=True)
    with raises(
        *(("HLQ_E_INVALID", "elements") if ranks.rank == 1 else ("HLQ_E_REMOTE", "rank 1"))
    ):
        bad.wait()
    assert isinstance(works[0], dist.Work) and works[0].wait() and ended and calls == 5
    assert ranks.rank == 0 or not early, "it was over before rank 0 began"
    assert all(torch.equal(output, wanted) for output in (*outputs, again))


def check_fsdp_unshards_ahead(ranks: Ranks) -> None:
    results = []
    for ahead in (False, True):
        model, state = sharded(ranks, all_gather_bits=8.0)
        works, later = [], state.link.later
        state.link.later = (
            lambda job, later=later, works=works: works.append(later(job)) or works[-1]
        )
        layers = (model, model.first, model.second)
        for layer in layers if ahead else ():
            layer._set_unshard_async_op(True)
        if ahead:
            model.set_modules_to_forward_prefetch([model.first, model.second])
        for step in range(2):
            backward(model, inputs(ranks, step))
        # Both wide layers, before forward and before backward, of both steps.
        assert len(works) == (8 if ahead else 0), len(works)
        results.append((wide(whole(model)), state.stats().calls))
    (plain, calls), (early, same) = results
    assert torch.equal(plain, early) and calls == same == 12


def check_fsdp_classes_by_themselves(ranks: Ranks) -> None:
    model = shard(alone())
    scatter = HLQReduceScatter(bits=5.0, link=link(ranks))
    gather = HLQAllGather(min_bytes=0, target_nmse=1e-6, link=link(ranks))
    for module in (model, model.first, model.second):
        module.set_custom_reduce_scatter(scatter)
        module.set_custom_all_gather(gather)
    x = inputs(ranks, 0)
    backward(model, x)
    error = vnmse(wide(whole(model)), wide(exact_average(ranks, x)))
    assert 0 < error < uniform_vnmse(5.0, legs=1)
    assert scatter.stats().calls == 2 and gather.stats().calls >= 3


def check_fsdp_replicas(ranks: Ranks) -> None:
    shards = 2 if ranks.size % 2 == 0 and ranks.size > 2 else 1
    mesh = init_device_mesh("cpu", (ranks.size // shards, shards), mesh_dim_names=("out", "in"))
    model = shard(alone(), mesh=mesh["in"])
    options = {"replicas": mesh["out"].get_group(), "bits": 5.0, "min_bytes": 32768}
    state = HLQFSDPState(model, link=link(ranks), **options)
    x = inputs(ranks, 0)
    backward(model, x)
    got, exact = whole(model), exact_average(ranks, x)
    assert 0 < vnmse(wide(got), wide(exact)) < uniform_vnmse(5.0, legs=3)
    assert vnmse(got["last.weight"], exact["last.weight"]) < EXACT
    assert ranks.same_bits(flat(got))
    assert state.stats().calls == (4 if shards > 1 else 2)
    native = shard(alone(), mesh=mesh)
    must_fail(lambda: HLQFSDPState(native, **options), "averages over the replicas already")


def check_fsdp_failure_of_one_rank_surfaces_on_all(ranks: Ranks) -> None:
    model, state = sharded(ranks, error_feedback=True)

    def fail(*_: object) -> None:
        raise MemoryError("no memory on this rank")

    if ranks.rank == 1:
        state._residuals[-1].flat = fail
    try:
        backward(model, inputs(ranks, 0))
    except MemoryError as error:
        assert ranks.rank == 1 and "no memory" in str(error)
    except ERRORS["HLQ_E_REMOTE"] as error:
        assert ranks.rank != 1 and "rank 1" in str(error), error
    else:
        raise AssertionError("backward() went well")


def check_fsdp_bad_arguments(ranks: Ranks) -> None:
    must_fail(lambda: HLQFSDPState(alone()), "no FSDP module")
    model = shard(alone())
    must_fail(lambda: HLQFSDPState(model, bits=13.0), "1 … 12")
    must_fail(lambda: HLQFSDPState(model, target_nmse=0.1, max_error=0.1), "both")
    must_fail(lambda: HLQAllGather(algorithm="modq"), "modq")
    columns = fully_shard(
        nn.Linear(12, 12, bias=False), shard_placement_fn=lambda _: dist.tensor.Shard(1)
    )
    must_fail(lambda: HLQFSDPState(columns, error_feedback=True), "first dimension", "weight")
    state = HLQFSDPState(model, error_feedback=True, link=link(ranks))
    saved = state.state_dict()
    must_fail(lambda: state.load_state_dict(saved | {"ranks": 99}), "99 ranks", "reshard")
    must_fail(
        lambda: state.load_state_dict(saved | {"residuals": {}}),
        "no residual of last.weight",
        "the root",
    )
    short = {name: value[1:] for name, value in saved["residuals"].items()}
    must_fail(lambda: state.load_state_dict(saved | {"residuals": short}), "elements")
