"""The files of a checkpoint that loads with classes of `transformers`: configuration, weights, preparation of pictures, tokenizer.

In: a folder in its published layout. Out: the library's objects, never from the hub, and no code that a checkpoint brings is run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from vesalius.errors import WeightsError
from vesalius.models import checkpoint

AGAIN = "fetch the checkpoint again: it must be whole and as it was published"
_OTHER = "name the model that the checkpoint is of"
_COMPUTED = ("position_ids", "rotary_emb.inv_freq")  # stored by some releases, and computed


def read_config(folder: Path, model: str) -> Any:  # noqa: ANN401 - the library's classes have no common type for this
    """The configuration of a stock class.

    Raises:
        WeightsError: it is absent, of another class, or its numbers do not fit.
    """
    import transformers

    kinds = checkpoint.read_json(folder / "config.json").get("architectures")
    if kinds != [model]:
        raise WeightsError(f"{folder}: is a checkpoint of {kinds!r}, not of {model}", remedy=_OTHER)
    try:
        with _quiet():
            return getattr(transformers, model).config_class.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the library raises plain exceptions
        raise WeightsError(f"{folder}: config.json does not describe a {model} ({line(error)})", remedy=AGAIN) from error


def read_weights(folder: Path, model: str, config: Any, dtype: torch.dtype | str) -> Any:  # noqa: ANN401
    """A stock class with every weight from safetensors files of the folder, in a dtype ("auto": as stored).

    Raises:
        WeightsError: weights that are absent, pickled, missing, unknown, or of another shape.
    """
    import transformers

    pickled = [path for path in checkpoint.files(folder) if path.suffix != ".safetensors"]
    if pickled:
        raise WeightsError(f"{pickled[0]}: is pickled", remedy="fetch the checkpoint's safetensors files")
    with _quiet():
        try:
            made, said = getattr(transformers, model).from_pretrained(
                folder, config=config, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True
            )
        except Exception as error:  # the library raises plain exceptions
            raise WeightsError(f"{folder}: cannot be read as weights ({line(error)})", remedy=AGAIN) from error
    unknown = [name for name in said["unexpected_keys"] if not name.endswith(_COMPUTED)]
    found = {"missing": said["missing_keys"], "unknown": unknown, "of another shape": said["mismatched_keys"]}
    told = [f"{len(names)} {kind} (the first {_first(names)!r})" for kind, names in found.items() if names]
    if told:
        raise WeightsError(f"{folder}: the tensors do not fit this model: {', '.join(told)}", remedy=_OTHER)
    return made


def _first(names: Any) -> str:  # noqa: ANN401 - names, or (name, shape, shape)
    return min(name if isinstance(name, str) else str(name[0]) for name in names)


def line(error: Exception) -> str:
    """The first line of what a library says, at most 160 characters."""
    return (str(error).strip().splitlines() or [repr(error)])[0][:160]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The library's bars and reports off: what matters in them is raised."""
    from transformers.utils import logging as untyped

    logging: Any = untyped
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def read_pictures(folder: Path, kind: str) -> Any:  # noqa: ANN401 - the library's classes have no common type for this
    """The preparation of pictures that a checkpoint states, in the class that needs Pillow and no torchvision.

    Raises:
        WeightsError: the checkpoint does not state one.
    """
    import transformers

    try:
        return getattr(transformers, kind).from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the library raises plain exceptions
        raise WeightsError(f"{folder}: how pictures are prepared cannot be read (preprocessor_config.json; {line(error)})", remedy=AGAIN) from error


def read_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - the library is not typed
    """`tokenizer.json` as it stands.

    Raises:
        WeightsError: it is absent or cannot be read.
    """
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises plain exceptions
        raise WeightsError(f"{folder}: tokenizer.json cannot be read ({error})", remedy=AGAIN) from error


def size(model: str, config: Any) -> int:  # noqa: ANN401
    """Number of parameters of a stock class, tied ones once, without making any."""
    return sum(p.numel() for p in empty(model, config).parameters())


def empty(model: str, config: Any) -> Any:  # noqa: ANN401
    """A stock class on the meta device, its tied weights tied: shapes without numbers."""
    import transformers

    with _quiet(), torch.device("meta"):
        made = getattr(transformers, model)(config)
    made.tie_weights()
    return made
