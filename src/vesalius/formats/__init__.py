"""Files become studies: DICOM and pictures in, `Study` out; what cannot be read is refused in one sentence with the remedy.

In: a path, a directory or a list of files. Out: the nouns of `domain.study`. Importing this package loads neither pydicom nor Pillow; reading does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vesalius.domain.study import Study

if TYPE_CHECKING:
    from vesalius.formats.collect import Gathered

__all__ = ["gather", "read"]


def read(
    paths: str | Path | Sequence[str | Path],
    *,
    modality: str | None = None,
    body_part: str | None = None,
    view: str | None = None,
    frames: Literal["choose", "all"] | int = "choose",
    study: str | None = None,
) -> Study:
    """Read one study.

    Args:
        paths: a file; a directory, read with all below it, hidden files, indexes and non-images left out; or a list of files, each of which must be readable.
        modality: declared DICOM modality ("CR", "CT", ...): for pictures, and for headers that are silent.
        body_part: declared body part ("CHEST"); replaces the header's.
        view: declared view ("PA"); replaces the header's.
        frames: of each multi-frame file keep the middle frame ("choose"), "all", or one by number from 0.
        study: Study Instance UID, when a directory holds several studies of one patient.

    Returns:
        The study; DICOM pixels in modality units, colour as RGB.

    Raises:
        UnreadableStudy: nothing readable, or one file that is not; the message names it and the remedy.
        MixedPatients: images of several people.
        MissingExtra: a decoder is not installed.
        UnknownName, InvalidValue: a declared fact or a frame that does not exist.
    """
    return gather(paths, modality=modality, body_part=body_part, view=view, frames=frames, study=study).study


def gather(
    paths: str | Path | Sequence[str | Path],
    *,
    modality: str | None = None,
    body_part: str | None = None,
    view: str | None = None,
    frames: Literal["choose", "all"] | int = "choose",
    study: str | None = None,
) -> Gathered:
    """Like `read`, with the list of files that were left out and why."""
    from vesalius.formats.collect import collect
    from vesalius.formats.picture import declare

    return collect(paths, declared=declare(modality, body_part, view), frames=frames, study=study)
