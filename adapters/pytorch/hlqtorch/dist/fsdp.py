"""FSDP2 (torch.distributed.fsdp.fully_shard) with compressed collectives.

    state = HLQFSDPState(model, bits=4)

after fully_shard(), and gradients travel at 4 bits per number. It gives every FSDP module of the
model what can also be given one by one:

    module.set_custom_reduce_scatter(HLQReduceScatter(bits=4))      gradients
    module.set_custom_all_gather(HLQAllGather(bits=8))              parameters, only when asked for
    module.set_all_reduce_hook(HLQAllReduce(group, bits=4))         gradients between replicas
"""

import copy
from collections.abc import Iterator, Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from .fsdp_comms import HLQAllGather, HLQAllReduce, HLQReduceScatter, Link
from .fsdp_residuals import GroupResidual
from .reshard import check_owner
from .stats import HLQStats

__all__ = ["HLQAllGather", "HLQAllReduce", "HLQFSDPState", "HLQReduceScatter", "Link"]


class HLQFSDPState:
    """Compresses the gradients of all FSDP modules of a model; keeps statistics and residuals.

    Make it after fully_shard(), before the first forward, on all ranks with the same arguments;
    parameters may still be on the meta device. It talks to nobody: communicators are made at the
    first collective that needs one.

    Args:
        model: the root, or what holds FSDP modules.
        bits: budget of gradients on the wire, bits per number, everything counted; 1 … 12.
        algorithm: "auto", "oneshot", "modq" or "native".
        error_feedback: keep what was not sent, and add it to the next gradient. It takes four bytes
            for every parameter, whole, not sharded, on every rank; hence not the default: on
            examples/train_bytes.py at 4 bits it changes the loss by less than other seeds do.
        all_gather_bits: compress parameters too, to so many bits; None: not.
        replicas: the ranks of other replicas that hold the same shard; None: there are none, or
            torch averages over them. See HLQAllReduce.
        target_nmse: for gradients, instead of bits, the error to aim at. 0: bits.
        max_error: for gradients, instead of bits, the most that any may be off by. 0: bits.
        min_bytes: modules whose gradients have fewer bytes stay exact.
        link: options of communicators: Link(transport=…, timeout=…, threads=…).

    Raises:
        ValueError: the model has no FSDP module; bits out of range; replicas that torch averages
            over already; error feedback for parameters that are not sharded by their first
            dimension.

    Thread safety: everything here between steps.
    """

    def __init__(
        self,
        model: nn.Module,
        bits: float = 4.0,
        algorithm: str = "auto",
        *,
        error_feedback: bool = False,
        all_gather_bits: float | None = None,
        replicas: dist.ProcessGroup | None = None,
        target_nmse: float = 0.0,
        max_error: float = 0.0,
        min_bytes: int = 65536,
        link: Link | None = None,
    ) -> None:
        self.link = link if link is not None else Link()
        self._residuals: list[GroupResidual] = []
        shared = {"min_bytes": min_bytes, "link": self.link}
        price = {"target_nmse": target_nmse, "max_error": max_error}
        # All objects first: wrong arguments leave the model as it was.
        gather = None
        if all_gather_bits is not None:
            gather = HLQAllGather(all_gather_bits, **shared)
        average = None
        if replicas is not None:
            average = HLQAllReduce(replicas, bits, algorithm, **price, **shared)
        scatters = []
        for name, module in _fsdp_modules(model):
            if average is not None and any(group._is_hsdp for group in _groups(module)):
                raise ValueError(
                    "torch averages over the replicas already: give fully_shard() a mesh of one "
                    "replica, or no replicas here"
                )
            residual = self._residual_of(name, model, module) if error_feedback else None
            scatter = HLQReduceScatter(bits, algorithm, residual=residual, **price, **shared)
            scatters.append((module, scatter))
        if not scatters:
            raise ValueError("the model has no FSDP module with parameters: call fully_shard()")
        for module, scatter in scatters:
            module.set_custom_reduce_scatter(scatter)
            if gather is not None:
                module.set_custom_all_gather(gather)
            if average is not None:
                module.set_all_reduce_hook(average)

    def _residual_of(self, name: str, model: nn.Module, module: nn.Module) -> GroupResidual:
        residual = GroupResidual(_layout(model, module), name or "the root")
        self._residuals.append(residual)
        return residual

    def stats(self) -> HLQStats:
        """What the compressed collectives did on this rank since reset_stats(); a copy."""
        self.link.settle()
        return copy.copy(self.link.stats)

    def reset_stats(self) -> None:
        """Sets all statistics to zero."""
        self.link.settle()
        self.link.stats = HLQStats()

    def scale_residuals(self, factor: float) -> None:
        """Multiplies what gradients still owe, when their scale changes; see HLQState."""
        for residual in self._residuals:
            residual.scale(factor)

    def state_dict(self) -> dict[str, object]:
        """Residuals of this rank by name of parameter, each [numel] of the whole parameter.

        Every rank has its own: save one dictionary per rank, or for another number of ranks what
        hlqtorch.dist.reshard makes of all of them.
        """
        return {
            "ranks": dist.get_world_size(),
            "rank": dist.get_rank(),
            "steps": None,
            "residuals": {
                name: value for one in self._residuals for name, value in one.by_name().items()
            },
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes over what state_dict() of the same rank gave, or reshard() of all ranks.

        Raises:
            ValueError: saved by another rank or another number of ranks, or for other parameters.
        """
        check_owner(state, dist.get_rank(), dist.get_world_size())
        loaded: Mapping[str, Tensor] = state["residuals"]
        for residual in self._residuals:
            residual.load(loaded)

    def close(self) -> None:
        """Frees the communicators."""
        self.link.close()


def _groups(module: FSDPModule) -> list:
    """The parameter groups of a module: none, one, or more with several meshes."""
    state = module._get_fsdp_state()
    if hasattr(state, "_fsdp_param_groups"):
        return list(state._fsdp_param_groups)
    return [group for group in [state._fsdp_param_group] if group is not None]


def _fsdp_modules(model: nn.Module) -> Iterator[tuple[str, FSDPModule]]:
    """Those that have parameters of their own to shard, by name."""
    for name, module in model.named_modules():
        if isinstance(module, FSDPModule) and _groups(module):
            yield name, module


def _layout(model: nn.Module, module: FSDPModule) -> list[tuple[str, torch.Size]]:
    """(name, whole size) of the trained parameters of an FSDP module, in the order it packs them.

    Raises:
        ValueError: one is sharded along another dimension than the first.
    """
    names = {id(each): name for name, each in model.named_modules()}
    found = []
    for group in _groups(module):
        for parameter in group.fsdp_params:
            info = parameter._module_info
            name = ".".join(filter(None, [names[id(info.module)], info.param_name]))
            if parameter.fsdp_placement.dim != 0:
                raise ValueError(
                    f"error feedback needs parameters sharded by their first dimension; {name} is "
                    f"{parameter.fsdp_placement}"
                )
            if parameter.sharded_param.requires_grad:
                found.append((name, parameter._orig_size))
    return found
