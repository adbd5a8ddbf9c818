"""Vesalius: runs, trains, tests and serves medical vision-language models, and questions every answer before it lets it out.

In: a file and a question. Out: a `Reading` whose `to_json()` is what `vesalius ask --json` prints:

    import vesalius
    study = vesalius.read("study.dcm")
    reading = vesalius.ask(study, "Is there a lesion in the liver?")

Importing the package loads nothing else; the model is loaded by the first `ask` and kept.
"""

from __future__ import annotations

# Loaded by name: this page lies below every layer (importing any module imports it), so it may not import them.
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vesalius.domain.reading import Reading
    from vesalius.domain.study import Study

__version__ = "0.1.0"
__all__ = ["__version__", "ask", "read"]


def read(
    paths: str | Path | Sequence[str | Path],
    *,
    modality: str | None = None,
    body_part: str | None = None,
    view: str | None = None,
    frames: Literal["choose", "all"] | int = "choose",
    study: str | None = None,
) -> Study:
    """Read one study from DICOM files or pictures; see `vesalius.formats.read`.

    Raises:
        UnreadableStudy: nothing readable. MixedPatients: images of several people. UnknownName, InvalidValue: a declared fact that does not exist.
    """
    study_of = importlib.import_module("vesalius.formats").read
    found: Study = study_of(paths, modality=modality, body_part=body_part, view=view, frames=frames, study=study)
    return found


def ask(
    study: Study | str | Path,
    question: str,
    *,
    model: str = "pocket",
    policy: str | Path | None = None,
    data: str | Path | None = None,
    rewordings: int = 8,
    samples: int = 8,
    seed: int = 0,
    look: bool = False,
    device: str = "auto",
    precision: str = "auto",
) -> Reading:
    """Answer a question about a study, question the answer, decide.

    Args:
        study: from `read`, or a path.
        question: in English, at most 2,000 characters.
        model: as `vesalius models` lists it.
        policy: a TOML file; None takes the one that ships.
        data: a data root whose training images serve as other patients; None takes drawn ones.
        rewordings, samples: at most so many other wordings, and answers drawn at a temperature.
        seed: the same seed gives the same reading.
        look: also find where in the image the answer comes from.
        device: auto, cpu, cuda, ...; auto takes a GPU when there is one.
        precision: auto, float32, bfloat16, int8, int4; auto takes the fastest dtype of the device.

    Raises:
        UserError: any of its kinds; the message is one sentence with the remedy.
    """
    given = read(study) if isinstance(study, str | Path) else study
    how = {"policy": policy, "data": data, "rewordings": rewordings, "samples": samples, "seed": seed, "device": device, "precision": precision}
    reader = importlib.import_module("vesalius.reader").open_reader(model, **how)
    answered: Reading = reader.ask(given, question, look=look)
    return answered
