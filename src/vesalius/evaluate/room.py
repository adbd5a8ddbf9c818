"""Whether there is memory for several copies of a model.

In: a model's name, a count, device and precision as the command line takes them. Out: nothing, or the error that says how many fit.
"""

from __future__ import annotations

from vesalius.errors import WeightsError

_PROCESS = 500_000_000  # bytes of a process with torch, beside its weights


def require_room(model: str, count: int, device: str, precision: str) -> None:
    """Refuse more copies of a model than there is memory for, before any is loaded. A model whose card is not known here passes.

    Raises:
        WeightsError: it does not fit; the remedy says how many copies do.
    """
    from vesalius.models.known import CARDS

    card = CARDS.get(model.partition(":")[0])
    if card is None:
        return
    from vesalius.models import decoder, memory, quantize

    where = quantize.find_device(device)
    fastest = "float32" if decoder.default_dtype(where).itemsize == 4 else "bfloat16"  # as wide as float16
    each, free = memory.needed(card.parameters, precision if precision in memory.BYTES else fastest) + _PROCESS, memory.room(where)
    if free is not None and count * each > free:
        said = f"{count} workers with {model} take {count * each / 1e9:.1f} GB and {free / 1e9:.1f} GB are free"
        raise WeightsError(said, remedy=f"give --workers {max(1, free // each)}, or a --precision that takes less")
