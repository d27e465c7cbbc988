"""Checks of the DDP hook; run on every rank by ranks.py."""

from __future__ import annotations

import math
import pickle
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from checks_comm import ERRORS, raises, uniform_vnmse, vnmse
from hlqtorch.dist.comm_hooks import HLQState, hlq_ddp_comm_hook
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

if TYPE_CHECKING:
    from ranks import Ranks

WIDTH = 160  # a weight has 100 KiB: above the size below which "auto" does not compress


class Crossed(nn.Module):
    """Three layers, used in another order than defined, so that DDP's buckets change."""

    def __init__(self) -> None:
        super().__init__()
        self.third = nn.Linear(WIDTH, WIDTH)
        self.first = nn.Linear(WIDTH, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(self.second(self.first(x).tanh()).tanh())


def make(state: HLQState, **options: object) -> DistributedDataParallel:
    """A DDP model with the same parameters on all ranks; one bucket in the first step, then two."""
    torch.manual_seed(1)
    model = DistributedDataParallel(Crossed(), bucket_cap_mb=0.15, **options)
    model.register_comm_hook(state, hlq_ddp_comm_hook)
    return model


def inputs(ranks: Ranks, step: int) -> Tensor:
    """This rank's batch of one step, [8, WIDTH]."""
    generator = torch.Generator().manual_seed(100 * step + ranks.rank)
    return torch.randn(8, WIDTH, generator=generator)


def backward(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Gradients by name."""
    model.zero_grad()
    model(x).square().mean().backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def local_gradients(model: DistributedDataParallel, x: Tensor) -> dict[str, Tensor]:
    """This rank's own gradients, of a copy of the model that knows nothing of ranks."""
    alone = Crossed()
    alone.load_state_dict(model.module.state_dict())
    return {f"module.{name}": grad for name, grad in backward(alone, x).items()}


def residuals(state: HLQState) -> dict[str, Tensor]:
    return state.state_dict()["residuals"]


def flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])


def check_gradients_are_the_average_on_all_ranks(ranks: Ranks) -> None:
    state = ranks.state(bits=4.0)
    model = make(state)
    for step in range(3):
        x = inputs(ranks, step)
        gradients = flat(backward(model, x))
        exact = ranks.exact_sum(flat(local_gradients(model, x))) / ranks.size
        assert ranks.same_bits(gradients)
        # Two legs; residuals of earlier steps, of at most the size of one error each, come on top.
        assert 0 < vnmse(gradients, exact) < 2 * uniform_vnmse(4.0, legs=2), step


def check_hook_uses_the_transport_of_the_job(ranks: Ranks) -> None:
    chosen = HLQState(timeout=20.0)
    assert chosen.transport == ranks.transport
    with_group = HLQState(dist.new_group(list(range(ranks.size))), timeout=20.0)
    assert with_group.transport == ranks.transport
    chosen.close()
    with_group.close()


def check_hook_over_a_part_of_the_ranks(ranks: Ranks) -> None:
    halves = [[rank for rank in range(ranks.size) if rank % 2 == odd] for odd in (0, 1)]
    groups = [dist.new_group(half) for half in halves]
    group = groups[ranks.rank % 2]
    state = HLQState(group, timeout=20.0, transport=ranks.transport, error_feedback=False)
    model = make(state, process_group=group)
    x = inputs(ranks, 0)
    gradients = flat(backward(model, x))
    exact = flat(local_gradients(model, x)).double()
    dist.all_reduce(exact, group=group)
    members = len(halves[ranks.rank % 2])
    assert vnmse(gradients, exact / members) < uniform_vnmse(4.0, legs=2)


def check_a_target_sets_the_bits(ranks: Ranks) -> None:
    sent = []
    for target in (1e-2, 1e-4):
        state = ranks.state(target_nmse=target, algorithm="twoshot", error_feedback=False)
        model = make(state)
        x = inputs(ranks, 0)
        gradients = flat(backward(model, x))
        exact = ranks.exact_sum(flat(local_gradients(model, x))) / ranks.size
        assert ranks.same_bits(gradients)
        # What the library promises of its estimate: about a quarter either way.
        assert vnmse(gradients, exact) < 1.5 * target, target
        sent.append(state.stats().bytes_sent)
    assert 0 < sent[0] < sent[1]


def check_bytes_are_counted_and_planned(ranks: Ranks) -> None:
    state = ranks.state(bits=3.0, algorithm="twoshot")
    model = make(state)
    steps = 4
    for step in range(steps):
        backward(model, inputs(ranks, step))
    stats = state.stats()
    elements = steps * sum(parameter.numel() for parameter in model.parameters())
    assert stats.elements == elements
    assert stats.bytes_sent == stats.plan_bytes
    # A rank whose part has one block more than another's sends a little more than its share.
    sent = sum(ranks.gather(stats.bytes_sent))
    assert 0 < sent <= 2 * (ranks.size - 1) * elements * 3.0 / 8
    assert 0 < stats.control_bytes < stats.bytes_sent / 10
    assert stats.calls == 1 + 2 * (steps - 1), "one bucket in the first step, then two"
    assert 0 < stats.vnmse_estimate < uniform_vnmse(3.0, legs=2)
    assert stats.seconds > 0
    state.reset_stats()
    assert state.stats().calls == 0


def check_residuals_survive_new_buckets(ranks: Ranks) -> None:
    state = ranks.state(bits=3.0)
    model = make(state)
    state.name_parameters(model.named_parameters())
    before = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    layouts = []
    for step in range(3):
        x = inputs(ranks, step)
        own = local_gradients(model, x)
        sent = backward(model, x)
        after = residuals(state)
        assert after.keys() == own.keys()
        for name, gradient in own.items():
            # Σ (g + r before) = n · average + Σ (r after), parameter by parameter. The numbers that
            # cancel are fp32: 1e-10 as in checks_comm.
            owed = gradient.flatten() + before[name].flatten() - after[name]
            exact = ranks.exact_sum(owed) / ranks.size
            assert vnmse(sent[name].flatten(), exact) < 1e-10, (step, name)
        assert flat(after).abs().max() > 0
        before = after
        layouts.append([[id(p) for p in bucket] for bucket, _ in state._buckets.values()])
    assert layouts[0] != layouts[1], "DDP has not made new buckets: the check shows nothing"
    assert layouts[1] == layouts[2]


def check_without_error_feedback_nothing_is_kept(ranks: Ranks) -> None:
    state = ranks.state(error_feedback=False)
    model = make(state)
    x = inputs(ranks, 0)
    backward(model, x)
    second, third = backward(model, x), backward(model, x)
    assert residuals(state) == {}
    assert torch.equal(flat(second), flat(third))


def check_mean_gradient_with_error_feedback(ranks: Ranks) -> None:
    steps = 16
    x = inputs(ranks, 0)
    errors = []
    for feedback in (True, False):
        model = make(ranks.state(bits=3.0, error_feedback=feedback))
        exact = ranks.exact_sum(flat(local_gradients(model, x))) / ranks.size
        mean = sum(flat(backward(model, x)).double() for _ in range(steps)) / steps
        errors.append(vnmse(mean, exact))
    # With it, one step's error over `steps`, squared 1/256; without, one step's error. New buckets
    # after the first step change the codes, hence a sixteenth only.
    assert errors[0] < errors[1] / 16, errors


def check_nan_and_inf_reach_all_gradients(ranks: Ranks) -> None:
    state = ranks.state()
    model = make(state)
    for value in (math.nan, math.inf):
        x = inputs(ranks, 0)
        if ranks.rank == 0:
            x[0, 0] = value
        gradients = backward(model, x)
        kept = flat(residuals(state))
        assert ranks.same_bits(flat(gradients))
        assert not gradients["module.first.weight"].isfinite().all()
        assert kept.isfinite().all()
    gradients = flat(backward(model, inputs(ranks, 1)))
    assert gradients.isfinite().all(), "one bad step must not spoil the next"


def check_exempt_parameters_are_exact(ranks: Ranks) -> None:
    alone = Crossed()
    for exempt in (["*.bias"], ["*.bias", "*second.weight"], lambda name, value: value.dim() <= 1):
        torch.manual_seed(1)
        model = DistributedDataParallel(Crossed(), bucket_cap_mb=0.15)
        state = ranks.state(
            bits=3.0, exempt=exempt, named_parameters=model.module.named_parameters()
        )
        model.register_comm_hook(state, hlq_ddp_comm_hook)
        for step in range(2):
            x = inputs(ranks, step)
            own, got = local_gradients(model, x), backward(model, x)
            for name, gradient in own.items():
                exact = ranks.exact_sum(gradient) / ranks.size
                parameter = model.get_parameter(name)
                free = name.removeprefix("module.") in residuals(state)
                assert free != state._is_exempt(parameter), name
                error = vnmse(got[name], exact)
                assert (error > 1e-6) if free else (error < 1e-12), (name, error)
        assert ranks.same_bits(flat(got))
    everything = ranks.state(exempt=lambda name, value: True)
    model = make(everything)
    x = inputs(ranks, 0)
    exact = ranks.exact_sum(flat(local_gradients(model, x))) / ranks.size
    assert vnmse(flat(backward(model, x)), exact) < 1e-12
    assert len(list(alone.parameters())) == 6


def check_saved_state_continues_alike(ranks: Ranks) -> None:
    def gradients(state: HLQState, load: dict | None) -> Tensor:
        model = make(state)
        if load is not None:
            state.load_state_dict(load)
        for step in range(2):
            backward(model, inputs(ranks, step))
        return flat(backward(model, inputs(ranks, 2)))

    first = ranks.state(bits=3.0)
    gradients(first, None)
    saved = first.state_dict()
    pickled = pickle.loads(pickle.dumps(first))
    loaded = gradients(ranks.state(bits=3.0), saved)
    unpickled = gradients(pickled, None)
    fresh = gradients(ranks.state(bits=3.0), None)
    assert torch.equal(loaded, unpickled)
    assert not torch.equal(loaded, fresh), "residuals make no difference: the check shows nothing"
    assert pickled.bits == 3.0
    try:
        first.load_state_dict(saved | {"ranks": 99})
    except ValueError as error:
        assert "99" in str(error)
    else:
        raise AssertionError("loading the residuals of another number of ranks went well")
    names = {f"x{i}": value for i, value in enumerate(saved["residuals"].values())}
    try:
        gradients(ranks.state(), {"ranks": ranks.size, "residuals": names})
    except ValueError as error:
        assert "no residual of bucket0.0 was loaded" in str(error), error
    else:
        raise AssertionError("loading residuals of parameters with other names went well")


def check_parameters_without_gradients(ranks: Ranks) -> None:
    class Partly(Crossed):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Linear(WIDTH, WIDTH)

    torch.manual_seed(1)
    model = DistributedDataParallel(Partly(), find_unused_parameters=True)
    model.register_comm_hook(ranks.state(), hlq_ddp_comm_hook)
    for step in range(3):
        model.zero_grad()
        model(inputs(ranks, step)).square().mean().backward()
        assert model.module.unused.weight.grad is None
        assert ranks.same_bits(model.module.first.weight.grad)


def check_accumulated_gradients(ranks: Ranks) -> None:
    model = make(ranks.state())
    one, two = inputs(ranks, 0), inputs(ranks, 1)
    model.zero_grad()
    with model.no_sync():
        model(one).square().mean().backward()
    model(two).square().mean().backward()
    got = flat({name: parameter.grad for name, parameter in model.named_parameters()})
    own = flat(local_gradients(model, one)) + flat(local_gradients(model, two))
    assert vnmse(got, ranks.exact_sum(own) / ranks.size) < uniform_vnmse(4.0, legs=2)
    assert ranks.same_bits(got)


def check_bfloat16_models(ranks: Ranks) -> None:
    torch.manual_seed(1)
    model = DistributedDataParallel(Crossed().bfloat16())
    model.register_comm_hook(ranks.state(), hlq_ddp_comm_hook)
    alone = Crossed().bfloat16()
    alone.load_state_dict(model.module.state_dict())
    x = inputs(ranks, 0).bfloat16()
    exact = ranks.exact_sum(flat(backward(alone, x)).float()) / ranks.size
    got = flat(backward(model, x))
    assert got.dtype == torch.bfloat16
    # On top of two legs: rounding to 8 bits of mantissa, 2^-18 at most.
    assert vnmse(got, exact) < uniform_vnmse(4.0, legs=2) + 2**-18
    assert ranks.same_bits(got)


def check_failures_surface_in_backward(ranks: Ranks) -> None:
    torch.manual_seed(1)
    model = DistributedDataParallel(Crossed().double())
    model.register_comm_hook(ranks.state(), hlq_ddp_comm_hook)
    with raises("HLQ_E_INVALID", "Double", "float32"):
        backward(model, inputs(ranks, 0).double())


def check_failure_of_one_rank_surfaces_on_all(ranks: Ranks) -> None:
    state = ranks.state()
    model = make(state)

    def fail(*_: object) -> None:
        raise MemoryError("no memory on this rank")

    if ranks.rank == 1:
        state._parts = fail
    try:
        backward(model, inputs(ranks, 0))
    except MemoryError as error:
        assert ranks.rank == 1 and "no memory" in str(error)
    except ERRORS["HLQ_E_REMOTE"] as error:
        assert ranks.rank != 1 and "rank 1" in str(error), error
    else:
        raise AssertionError("backward() went well")


def check_bad_arguments_of_the_state(ranks: Ranks) -> None:
    for words, arguments in (
        (["exempt", "named_parameters"], {"exempt": ["*.bias"]}),
        (["bits"], {"bits": 40.0}),
        (["target_nmse"], {"target_nmse": 1.5}),
        (["A2"], {"lattice": "A2"}),
        (["fastest"], {"algorithm": "fastest"}),
    ):
        try:
            ranks.state(**arguments)
        except ValueError as error:
            for word in words:
                assert word in str(error), error
        else:
            raise AssertionError(f"{arguments} went well")
    try:
        ranks.state().reduce((torch.zeros(1), torch.zeros(1)))
    except NotImplementedError as error:
        assert "python_reducer" in str(error)
    else:
        raise AssertionError("a bucket of optimize_ddp = 'python_reducer' went well")
    try:
        HLQState(transport="pigeon")
    except ValueError as error:
        assert "pigeon" in str(error)
    else:
        raise AssertionError("transport 'pigeon' went well")
    if torch.cuda.is_available():
        return
    try:
        HLQState(transport="nccl")
    except ValueError as error:
        assert "needs a GPU and a torch with NCCL" in str(error)
    else:
        raise AssertionError("transport 'nccl' went well without a GPU")
