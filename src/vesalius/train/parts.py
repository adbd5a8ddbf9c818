"""Which tensors of a model a part's name means, what moves, and the proof that the rest stayed where it was.

In: a torch module and names of parts. Out: tensors by part, modes set for training, digests of what is frozen.
A part is a name that the module's own `parts` table lists (a mapping from name to patterns), or else itself a pattern. A pattern matches a tensor
by its full name, by a dotted prefix ("projector", "tower.blocks.15") or with wildcards ("*.lora_*"); one that begins with "!" takes away again.
"""

from __future__ import annotations

import fnmatch
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from vesalius.errors import ConfigError, nearest


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer by name, tied ones once, under their first name."""
    return dict(itertools.chain(module.named_parameters(), module.named_buffers()))


def select(module: nn.Module, parts: Sequence[str]) -> dict[str, dict[str, Tensor]]:
    """The tensors of each part, buffers (such as running means) included.

    Args:
        module: the model; it may carry `parts: Mapping[str, Sequence[str]]`.
        parts: names or patterns.

    Returns:
        Part to tensor name to the tensor itself.

    Raises:
        ConfigError: a part that matches nothing, or a tensor that two parts claim.
    """
    table: Mapping[str, Sequence[str]] = getattr(module, "parts", {})
    everything = tensors(module)
    found: dict[str, dict[str, Tensor]] = {}
    owner: dict[str, str] = {}
    for part in parts:
        found[part] = {n: t for n, t in everything.items() if _matches(n, table.get(part, (part,)))}
        if not found[part]:
            known = list(table) or [n for n, _ in module.named_children()]
            guess = nearest(part, known)
            raise ConfigError(f"the model has no part {part!r}", remedy=f"did you mean {guess!r}?" if guess else f"its parts: {', '.join(known)}")
        for name in found[part]:
            if name in owner:
                raise ConfigError(f"{name} belongs to both {owner[name]!r} and {part!r}", remedy="train parts that do not overlap")
            owner[name] = part
    return found


def _matches(name: str, patterns: Sequence[str]) -> bool:
    inside = False
    for pattern in patterns:
        bare = pattern.removeprefix("!")
        if name == bare or name.startswith(bare + ".") or fnmatch.fnmatchcase(name, bare):
            inside = not pattern.startswith("!")
    return inside


def release(module: nn.Module, parts: Sequence[str]) -> dict[str, dict[str, nn.Parameter]]:
    """Let the parameters of `parts` move and freeze all others.

    Returns:
        Part to name to parameter: the groups of an optimiser.

    Raises:
        ConfigError: from `select`, or a part that has buffers only.
        TypeError: a parameter that is to move is not float32: smaller kinds swallow small updates.
    """
    chosen = select(module, parts)
    module.requires_grad_(False)
    groups: dict[str, dict[str, nn.Parameter]] = {}
    for part, members in chosen.items():
        groups[part] = {n: t for n, t in members.items() if isinstance(t, nn.Parameter)}
        if not groups[part]:
            raise ConfigError(f"part {part!r} has nothing to learn, only buffers", remedy="leave it out of train")
        for name, parameter in groups[part].items():
            if parameter.dtype != torch.float32:
                raise TypeError(f"{name} is to move and is {parameter.dtype}; parts that move are kept in float32")
            parameter.requires_grad_(True)
    return groups


def training_mode(module: nn.Module, moving: Iterable[str]) -> list[tuple[nn.Module, bool]]:
    """Put what moves in training mode and what is frozen in evaluation mode; returns the modes, for `set_modes` to put back cheaply.

    A frozen tower must neither drop features nor update its running statistics, so a module trains only when a tensor below it moves;
    modules without any tensors (dropout, activations) go with their parent.

    Args:
        moving: names of tensors.
    """
    moving = set(moving)
    names = set(tensors(module))

    def visit(here: nn.Module, prefix: str, inherited: bool) -> Iterator[tuple[nn.Module, bool]]:
        below = {n for n in names if n.startswith(prefix)}
        mode = bool(below & moving) if below else inherited
        yield here, mode
        for name, child in here.named_children():
            yield from visit(child, f"{prefix}{name}.", mode)

    modes = list(visit(module, "", inherited=True))
    set_modes(modes)
    return modes


def set_modes(modes: Iterable[tuple[nn.Module, bool]]) -> None:
    """Put each module in its mode, without touching its children."""
    for module, mode in modes:
        module.training = mode


def frozen_digest(module: nn.Module, moving: Iterable[str]) -> dict[str, str]:
    """SHA-256 of every tensor that is not to move, by name.

    Args:
        moving: names of tensors that may change.
    """
    moving = set(moving)
    return {name: _digest(tensor) for name, tensor in tensors(module).items() if name not in moving}


def _digest(tensor: Tensor) -> str:
    flat = tensor.detach().contiguous().reshape(-1).cpu()
    head = f"{tensor.dtype} {tuple(tensor.shape)}".encode()
    return hashlib.sha256(head + flat.view(torch.uint8).numpy().tobytes() if flat.numel() else head).hexdigest()


def verify_frozen(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Prove that nothing frozen moved.

    Args:
        before, after: of `frozen_digest`.

    Raises:
        RuntimeError: a frozen tensor changed, appeared or went: our bug, naming the tensors.
    """
    moved = sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
    if moved:
        raise RuntimeError(f"{len(moved)} frozen tensors moved during training: {', '.join(moved[:5])}")
