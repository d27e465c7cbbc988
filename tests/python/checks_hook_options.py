"""Checks of the DDP hook's options and of DDP's own; run on every rank by ranks.py."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import torch
from checks_comm import uniform_vnmse, vnmse
from checks_hook import Crossed, backward, flat, inputs, local_gradients, make, residuals
from hlqtorch.dist.comm_hooks import HLQState, hlq_ddp_comm_hook
from hlqtorch.dist.reshard import reshard
from torch.nn.parallel import DistributedDataParallel

if TYPE_CHECKING:
    from collections.abc import Callable

    from ranks import Ranks

EXACT = 1e-12  # of fp32 sums of a few numbers: (2 · 4 · 2^-24)² at most


def make_named(
    ranks: Ranks, ddp: dict[str, object] | None = None, **options: object
) -> tuple[DistributedDataParallel, HLQState]:
    """A DDP model as make() gives, and a state that knows the names of its parameters."""
    torch.manual_seed(1)
    model = DistributedDataParallel(Crossed(), bucket_cap_mb=0.15, **(ddp or {}))
    state = ranks.state(named_parameters=model.named_parameters(), **options)
    model.register_comm_hook(state, hlq_ddp_comm_hook)
    return model, state


def errors_of_a_step(ranks: Ranks, model: DistributedDataParallel, step: int) -> dict[str, float]:
    """vNMSE of the averaged gradients of one step, by name of parameter."""
    x = inputs(ranks, step)
    own, got = local_gradients(model, x), backward(model, x)
    exact = {name: ranks.exact_sum(value) / ranks.size for name, value in own.items()}
    assert ranks.same_bits(flat(got))
    return {name: vnmse(got[name], exact[name]) for name in own}


def must_fail(call: Callable[[], object], *words: str) -> None:
    """Asserts that a call raises ValueError with these words."""
    try:
        call()
    except ValueError as error:
        for word in words:
            assert word in str(error), f"'{word}' is not in: {error}"
    else:
        raise AssertionError(f"it went well where an error with {words} was due")


def check_ddp_options_change_nothing(ranks: Ranks) -> None:
    for options in (
        {"gradient_as_bucket_view": True},
        {"static_graph": True},
        {"static_graph": True, "gradient_as_bucket_view": True},
        {"find_unused_parameters": True, "gradient_as_bucket_view": True},
    ):
        state = ranks.state()
        model = make(state, **options)
        for step in range(3):
            x = inputs(ranks, step)
            gradients = flat(backward(model, x))
            exact = ranks.exact_sum(flat(local_gradients(model, x))) / ranks.size
            assert ranks.same_bits(gradients), (options, step)
            # Two legs; residuals of earlier steps come on top.
            assert 0 < vnmse(gradients, exact) < 2 * uniform_vnmse(4.0, legs=2), (options, step)
        assert state.steps == 3, options


def check_exempt_by_dimension(ranks: Ranks) -> None:
    model, state = make_named(ranks, exempt_below_dim=2, exempt=["*second.weight"])
    for step in range(2):
        for name, error in errors_of_a_step(ranks, model, step).items():
            if name.endswith("bias") or "second" in name:
                assert error < EXACT, (name, error)
            else:
                assert error > 1e-6, (name, error)
    assert sorted(residuals(state)) == ["module.first.weight", "module.third.weight"]


def check_layers_with_bits_of_their_own(ranks: Ranks) -> None:
    bits = {"*first.weight": 8.0, "*.bias": 12.0, "*": 3.0}  # the first that fits
    model, state = make_named(
        ranks, layer_bits=bits, algorithm="twoshot", error_feedback=False, bits=5.0
    )
    for step in range(2):
        errors = errors_of_a_step(ranks, model, step)
        assert 0 < errors["module.first.weight"] < uniform_vnmse(8.0, legs=2)
        for name in ("module.second.weight", "module.third.weight"):
            # Not less than a rounding to 3 bits of Gaussian numbers can have: 4^-3 times the
            # variance, by rate-distortion theory; those that are not Gaussian cost less.
            assert 4.0**-3 / 10 < errors[name] < uniform_vnmse(3.0, legs=2), (name, errors[name])
        assert all(errors[name] < 1e-4 for name in errors if name.endswith("bias"))
    stats = state.stats()
    assert stats.bytes_sent == stats.plan_bytes > 0


def check_first_steps_are_exact(ranks: Ranks) -> None:
    model, state = make_named(ranks, start_step=2)
    for step in range(2):
        with model.no_sync():  # is no step
            model(inputs(ranks, step)).sum().backward()
        errors = errors_of_a_step(ranks, model, step)
        assert max(errors.values()) < EXACT, (step, errors)
        assert flat(residuals(state)).abs().max() == 0
    assert state.steps == 2
    resumed = pickle.loads(pickle.dumps(state))
    errors = errors_of_a_step(ranks, model, 2)
    assert max(errors.values()) > 1e-6, errors
    assert flat(residuals(state)).abs().max() > 0
    assert (resumed.start_step, resumed.steps, state.steps) == (2, 2, 3)
    fresh = ranks.state(start_step=2)
    fresh.load_state_dict(state.state_dict())
    assert fresh.steps == 3


def check_max_error_bounds_gradients(ranks: Ranks) -> None:
    limit = 1e-4
    state = ranks.state(max_error=limit, algorithm="twoshot", error_feedback=False)
    model = make(state)
    for step in range(2):
        x = inputs(ranks, step)
        own = flat(local_gradients(model, x))
        exact = ranks.exact_sum(own) / ranks.size
        largest = max(ranks.gather(float(own.abs().max())))
        got = flat(backward(model, x))
        assert ranks.same_bits(got)
        # Besides, float32 rounds, by a millionth of the largest number.
        worst = float((got.double() - exact).abs().max())
        assert 0 < worst <= limit + 1e-6 * largest, worst
    stats = state.stats()
    assert 0 < stats.bytes_sent <= stats.plan_bytes


def check_grad_scaler_skips_the_same_steps(ranks: Ranks) -> None:
    state = ranks.state()
    model = make(state)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = []
    for step in range(4):
        x = inputs(ranks, step)
        if step == 2 and ranks.rank == ranks.size - 1:
            x[0, 0] = torch.inf  # on one rank only
        before = [parameter.detach().clone() for parameter in model.parameters()]
        optimizer.zero_grad()
        scaler.scale(model(x).square().mean()).backward()
        scaler.step(optimizer)
        scale = scaler.get_scale()
        scaler.update()
        owed = flat(residuals(state))
        state.scale_residuals(scaler.get_scale() / scale)
        assert torch.equal(flat(residuals(state)), owed * (scaler.get_scale() / scale))
        same = [torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
        seen.append((all(same), scaler.get_scale()))
    assert seen == [(False, 1024.0), (False, 1024.0), (True, 512.0), (False, 512.0)]
    assert ranks.same_bits(*(parameter.detach() for parameter in model.parameters()))
    assert flat(residuals(state)).isfinite().all()


def check_residuals_of_another_rank_are_refused(ranks: Ranks) -> None:
    model, state = make_named(ranks)
    backward(model, inputs(ranks, 0))
    saved = ranks.gather(state.state_dict())
    other = saved[(ranks.rank + 1) % ranks.size]
    must_fail(lambda: state.load_state_dict(other), f"rank {other['rank']}", "reshard")
    state.load_state_dict(reshard(saved))
    for name, mean in residuals(state).items():
        exact = sum(one["residuals"][name].double() for one in saved) / ranks.size
        assert torch.equal(mean, exact.float()), name
    must_fail(lambda: reshard(saved[1:]), f"all {ranks.size} are due")
    must_fail(lambda: reshard([*saved, saved[0]]), f"all {ranks.size} are due")
    must_fail(lambda: reshard([]), "no state")
    must_fail(lambda: reshard([reshard(saved)]), "no rank")
    must_fail(lambda: reshard([saved[0], saved[1] | {"steps": 99}]), "moments", "99")
    must_fail(lambda: reshard([saved[0], saved[1] | {"residuals": {}}]), "rank 1", "module.")


def check_bad_options_get_a_sentence(ranks: Ranks) -> None:
    named = list(Crossed().named_parameters())
    must_fail(lambda: ranks.state(layer_bits={"*": 4.0}), "layer_bits", "named_parameters")
    must_fail(
        lambda: ranks.state(layer_bits={"a*": 13.0}, named_parameters=named), "'a*'", "1 … 12"
    )
    must_fail(lambda: ranks.state(start_step=-1), "start_step is -1")
    must_fail(lambda: ranks.state(max_error=-1.0), "max_error")
    must_fail(lambda: ranks.state(max_error=0.1, target_nmse=0.1), "max_error", "target_nmse")
