"""How much memory a model takes, and whether this machine has it: asked before anything is loaded.

In: a number of parameters, a dtype by name. Out: bytes; an error that says what is needed, what there is, and what would fit. No torch here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

from vesalius.errors import WeightsError

BYTES: Mapping[str, float] = MappingProxyType({"float32": 4.0, "bfloat16": 2.0, "int8": 1.0, "int4": 0.5})
LOADED = ("float32", "bfloat16")  # what a loader can be asked for; the smaller ones need packed weights
OVERHEAD = 1.15  # activations, keys and values, the process itself


def needed(parameters: int, dtype: str) -> int:
    """Bytes that a model takes while it answers, weights times `OVERHEAD`."""
    return int(parameters * BYTES[dtype] * OVERHEAD)


def available() -> int | None:
    """Bytes of main memory that could be had now; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123 - not a file of ours
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def room(device: str) -> int | None:
    """Bytes that are free where a model is to live."""
    if not device.startswith("cuda"):
        return available()
    import torch

    return int(torch.cuda.mem_get_info(device)[0])


def require(name: str, parameters: int, dtype: str, free: int | None) -> None:
    """Refuse a model that does not fit, before memory is exhausted.

    Args:
        name: of the model. free: bytes that there are; None lets everything pass.

    Raises:
        WeightsError: it does not fit; the remedy names dtypes that would, or says that none does.
    """
    need = needed(parameters, dtype)
    if free is None or need <= free:
        return
    fit = [d for d in LOADED if needed(parameters, d) <= free]
    remedy = f"load it with dtype={' or '.join(fit)}, which fits" if fit else "use a machine with more memory"
    raise WeightsError(f"{name} takes {_size(need)} as {dtype} and {_size(free)} are free", remedy=remedy)


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
