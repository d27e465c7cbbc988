"""hlqtorch on CUDA devices: what launch/gpu-check runs under torchrun, a rank for each GPU.

The quantizer (gpu_quantizer.py), and over NCCL the DDP hook and FSDP2.
One rank alone has nobody to send to: then results are exact, it is the hook's stream, futures and
communicator that are tried, and FSDP has no collectives to make.
"""

import os
import sys

import gpu_quantizer
import hlqtorch
import torch
import torch.distributed as dist
from hlqtorch.dist.comm_hooks import HLQState, hlq_ddp_comm_hook
from hlqtorch.dist.fsdp import HLQFSDPState
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

WIDTH = 1024
STEPS = 5
# Of plain uniform quantization on ±4 σ at 4 bits; once for each leg.
UNIFORM = (8 / 2**4) ** 2 / 12


def make(device: torch.device) -> nn.Sequential:
    torch.manual_seed(1)
    layers = [nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, WIDTH)).to(device)


def batch(step: int, rank: int, device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(100 * step + rank)
    return torch.randn(16, WIDTH, generator=generator).to(device)


def exact_gradients(model: nn.Module, step: int, device: torch.device) -> dict[str, Tensor]:
    """The mean over all ranks' batches, computed here alone; by name, in float64."""
    alone = make(device)
    alone.load_state_dict(model.state_dict())
    for rank in range(dist.get_world_size()):
        alone(batch(step, rank, device)).square().mean().backward()
    ranks = dist.get_world_size()
    return {name: p.grad.double() / ranks for name, p in alone.named_parameters()}


@torch.no_grad()
def vnmse(got: dict[str, Tensor], exact: dict[str, Tensor]) -> float:
    error = sum((got[name].double() - exact[name]).square().sum() for name in exact)
    return float(error / sum(value.square().sum() for value in exact.values()))


def check(holds: bool, what: str) -> None:
    print(f"rank {dist.get_rank()}: {'passed' if holds else 'FAILED'}: {what}", flush=True)
    if not holds:
        sys.exit(1)


def check_hook(device: torch.device) -> None:
    state = HLQState(bits=4.0)
    inner = make(device)
    model = DistributedDataParallel(inner, device_ids=[device.index], bucket_cap_mb=5)
    model.register_comm_hook(state, hlq_ddp_comm_hook)
    # Rounding alone, or two legs of codes and what error feedback adds.
    limit = 1e-9 if dist.get_world_size() == 1 else 4 * UNIFORM
    errors = []
    for step in range(STEPS):
        exact = exact_gradients(inner, step, device)
        model.zero_grad()
        model(batch(step, dist.get_rank(), device)).square().mean().backward()
        errors.append(vnmse({name: p.grad for name, p in inner.named_parameters()}, exact))
    check(state.transport == "nccl", f"the hook's transport is {state.transport}")
    check(max(errors) < limit, f"DDP hook, errors {', '.join(f'{e:.1e}' for e in errors)}")
    check(state.stats().calls > 0, f"the hook made {state.stats().calls} calls")


def check_fsdp(device: torch.device) -> None:
    inner, model = make(device), make(device)
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer)
    fully_shard(model)
    state = HLQFSDPState(model, bits=4.0, error_feedback=True)
    limit = 1e-9 if dist.get_world_size() == 1 else 2 * UNIFORM
    errors = []
    for step in range(STEPS):
        exact = exact_gradients(inner, step, device)
        model.zero_grad()
        model(batch(step, dist.get_rank(), device)).square().mean().backward()
        got = {name: p.grad.full_tensor() for name, p in model.named_parameters()}
        errors.append(vnmse(got, exact))
    check(max(errors) < limit, f"FSDP2, errors {', '.join(f'{e:.1e}' for e in errors)}")
    calls, is_alone = state.stats().calls, dist.get_world_size() == 1
    check(calls > 0 or is_alone, f"FSDP2 made {calls} compressed calls")
    saved = state.state_dict()["residuals"]
    check(all(value.device.type == "cpu" for value in saved.values()), "residuals are saved")
    state.load_state_dict(state.state_dict())


def check_early_all_gather(device: torch.device) -> None:
    model = fully_shard(nn.Linear(WIDTH, WIDTH).to(device))
    whole = model.weight.full_tensor()
    HLQFSDPState(model, all_gather_bits=8.0)
    model.unshard(async_op=True).wait()
    error = vnmse({"weight": model.weight}, {"weight": whole.double()})
    check(error < 1e-3, f"an early all-gather at 8 bits, error {error:.1e}")


def check_backend(device: torch.device) -> None:
    """Backend hlq compresses CUDA tensors on a stream; in a graph, too."""
    group = dist.new_group(backend="hlq", pg_options=hlqtorch.HLQOptions(bits=4.0))
    ranks = dist.get_world_size()
    parts = [batch(0, rank, device) for rank in range(ranks)]
    exact = {"sum": sum(part.double() for part in parts)}
    limit = 1e-9 if ranks == 1 else 4 * UNIFORM
    x = parts[dist.get_rank()].clone()
    work = dist.all_reduce(x, group=group, async_op=True)
    work.wait()
    check(vnmse({"sum": x}, exact) < limit, "backend hlq, all-reduce")
    calls = hlqtorch.stats(group).calls
    check(calls == (ranks > 1), f"backend hlq compressed {calls} calls")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        dist.all_reduce(x, group=group)
    for _ in range(2):
        x.copy_(parts[dist.get_rank()])
        graph.replay()
        check(vnmse({"sum": x}, exact) < limit, "backend hlq in a graph")


def check_quantizer(device: torch.device) -> None:
    failed = [what for holds, what in gpu_quantizer.cases(device) if not holds]
    check(not failed, f"the quantizer: {'; '.join(failed) or 'as on the host'}")


def main() -> None:
    rank = int(os.environ["LOCAL_RANK"])
    device = torch.device("cuda", rank)
    torch.cuda.set_device(device)
    dist.init_process_group("nccl", device_id=device)
    check_quantizer(device)
    check_hook(device)
    check_fsdp(device)
    check_early_all_gather(device)
    check_backend(device)
    torch.cuda.synchronize()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
