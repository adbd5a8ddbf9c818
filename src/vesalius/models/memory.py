"""How much memory a model takes, and whether this machine has it: asked before anything is loaded.

In: a number of parameters, a dtype by name. Out: bytes; an error that says what is needed, what there is, and what would fit. No torch here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from vesalius.errors import WeightsError

BYTES: Mapping[str, float] = MappingProxyType({"float32": 4.0, "bfloat16": 2.0, "int8": 1.0, "int4": 0.5})
PRECISIONS = ("auto", "float32", "bfloat16", "int8", "int4")  # what can be asked for; "auto" is the fastest that the device has
LOADED = ("float32", "bfloat16")  # what every loader can be asked for
OVERHEAD = 1.15  # activations, keys and values, the process itself


def needed(parameters: int, dtype: str, *, wide: int = 0) -> int:
    """Bytes that a model takes while it answers, weights times `OVERHEAD`.

    Args:
        wide: how many of the parameters stay in float32 when the others are packed (embeddings, vocabulary, norms); no matter for other dtypes.
    """
    kept = wide if BYTES[dtype] < BYTES["bfloat16"] else 0
    return int(((parameters - kept) * BYTES[dtype] + kept * BYTES["float32"]) * OVERHEAD)


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


def require(name: str, parameters: int, dtype: str, free: int | None, *, wide: int = 0, held: Sequence[str] = LOADED) -> None:
    """Refuse a model that does not fit, before memory is exhausted.

    Args:
        name: of the model. free: bytes that there are; None lets everything pass. wide: as `needed`. held: what the model can be loaded as there.

    Raises:
        WeightsError: it does not fit; the remedy names precisions that would, or says that none does.
    """
    need = needed(parameters, dtype, wide=wide)
    if free is None or need <= free:
        return
    fit = [d for d in held if needed(parameters, d, wide=wide) <= free]
    remedy = f"load it with precision {' or '.join(fit)}, which fits" if fit else "use a machine with more memory"
    raise WeightsError(f"{name} takes {_size(need)} as {dtype} and {_size(free)} are free", remedy=remedy)


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
