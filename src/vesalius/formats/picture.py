"""A PNG, JPEG, TIFF, BMP or GIF becomes an `Image`; what a header would say, the caller declares.

In: a path and declared facts. Out: float32 grey in the file's own units, or 8-bit RGB.
8-bit grey keeps its values and is shown as it is; 16-bit grey keeps its values and is shown by percentiles. Sixteen-bit colour is reduced to its high eight
bits by Pillow. Transparency is laid over black. A colour picture whose three channels are equal everywhere is grey. EXIF orientation is applied.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.study import Image, Intensity, Modality, Window
from vesalius.errors import InvalidValue, UnreadableStudy
from vesalius.formats import bounds, geometry, header
from vesalius.formats.decode import Frames, choose_frames
from vesalius.registry import unknown

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF")
_AS_IT_IS = Window(127.5, 255.0, "LINEAR_EXACT")  # 0..255 to 0..255
_WHITE_IS_ZERO = 0  # TIFF 6.0, tag 262


@dataclasses.dataclass(frozen=True)
class Declared:
    """What the caller says about an image: fills what a header leaves open."""

    modality: Modality | None = None
    body_part: str | None = None
    view: str | None = None


def declare(modality: str | None, body_part: str | None, view: str | None) -> Declared:
    """Check declared facts.

    Raises:
        UnknownName: no such modality. InvalidValue: a body part or view that is not a plain term.
    """
    kind = None
    if modality is not None:
        if modality.strip().upper() not in set(Modality):
            raise unknown("modality", modality, [str(m) for m in Modality])
        kind = Modality(modality.strip().upper())
    return Declared(kind, _term("body part", body_part), _term("view", view))


def _term(name: str, text: str | None) -> str | None:
    if text is None:
        return None
    term = geometry.plain(text)
    if term is None:
        raise InvalidValue(f"{name} {text[:80]!r} is not a plain term", remedy="use letters, digits, spaces and hyphens, for example CHEST or PA")
    return term


def load(path: Path, *, declared: Declared | None = None, frames: Frames = "choose") -> Image:
    """Read one picture.

    Args:
        path: the file.
        declared: modality, body part and view, which a picture cannot say itself; unknown ones stay OT and None.
        frames: of an animated or multi-page picture, as for DICOM.

    Raises:
        UnreadableStudy: not a picture, truncated, or of absurd dimensions. InvalidValue: no such frame.
    """
    import PIL.Image

    declared = declared or Declared()
    with header.quiet():
        try:
            with PIL.Image.open(path, formats=FORMATS) as picture:
                total = int(getattr(picture, "n_frames", 1))
                keep = choose_frames(frames, total, path)
                _check_size(path, picture, total, len(keep))
                arrays = [_frame(path, picture, k, total, len(keep)) for k in keep]
                inverted = picture.mode.startswith("I;16") and _photometric(picture) == _WHITE_IS_ZERO
                lossy = True if picture.format == "JPEG" else None
                one_bit = picture.mode == "1"
        except (UnreadableStudy, InvalidValue):
            raise
        except (FileNotFoundError, PermissionError) as error:
            raise header.cannot_open(path, error) from error
        except PIL.Image.DecompressionBombError as error:
            raise UnreadableStudy(path, f"is refused as a decompression bomb ({header.short(error)})", remedy="give a smaller image") from error
        except header.parser_failures() as error:
            raise UnreadableStudy(path, f"is truncated or damaged ({_reason(error)})", remedy="export it again") from error
    pixels, intensity = _stack(path, arrays, one_bit)
    eight_bit = intensity is Intensity.RELATIVE and arrays[0].dtype == np.uint8
    return Image(
        pixels=pixels,
        intensity=intensity,
        modality=declared.modality or Modality.OT,
        body_part=declared.body_part,
        view=declared.view,
        voi=(_AS_IT_IS,) if eight_bit else (),
        inverted=inverted,
        source=path.name,
        lossy=lossy,
    )


def _reason(error: Exception) -> str:
    """Pillow names the object in memory when it knows no better: nothing a user could use."""
    text = header.short(error)
    return "cannot be identified" if "cannot identify" in text else text


def _photometric(picture: Picture) -> int | None:
    tags = getattr(picture, "tag_v2", None)
    return None if tags is None else tags.get(262)


def _check_size(path: Path, picture: Picture, total: int, kept: int) -> None:
    bounds.check_image(path, rows=picture.height, cols=picture.width, frames=total, samples=len(picture.getbands()), kept=kept)


def _frame(path: Path, picture: Picture, index: int, total: int, kept: int) -> NDArray[Any]:
    """One frame upright: (rows, cols) uint8, uint16, int32 or float32, or (rows, cols, 3) uint8."""
    from PIL import ImageOps

    if total > 1:
        picture.seek(index)
        _check_size(path, picture, total, kept)  # the pages of a TIFF have sizes of their own
    picture.load()
    upright = ImageOps.exif_transpose(picture)
    if upright.mode == "1":
        return np.asarray(upright).astype(np.uint8)
    if upright.mode == "L" or upright.mode == "F" or upright.mode.startswith("I"):
        return _native(np.asarray(upright))
    if upright.has_transparency_data or upright.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        return _over_black(upright)
    return np.asarray(upright.convert("RGB"))


def _native(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _over_black(picture: Picture) -> NDArray[np.uint8]:
    import PIL.Image

    mode = "LA" if picture.mode in ("LA", "La") else "RGBA"
    ground = PIL.Image.new(mode, picture.size, (0,) * (len(mode) - 1) + (255,))
    ground.alpha_composite(picture.convert(mode)) if mode == "RGBA" else ground.paste(picture.convert("LA"), mask=picture.convert("LA").getchannel("A"))
    return np.asarray(ground.convert("RGB" if mode == "RGBA" else "L"))


def _stack(path: Path, arrays: list[NDArray[Any]], one_bit: bool) -> tuple[NDArray[np.float32] | NDArray[np.uint8], Intensity]:
    """Frames on the first axis, grey when all of them are."""
    if len({a.shape[:2] for a in arrays}) > 1:
        raise UnreadableStudy(path, "has pages of different sizes", remedy="choose one with frames=K")
    if any(a.ndim == 3 for a in arrays):
        if not all(_is_grey(a) for a in arrays):
            return np.stack([a if a.ndim == 3 else np.repeat(a[..., None], 3, axis=2) for a in arrays]).astype(np.uint8), Intensity.COLOUR
        arrays[:] = [a[..., 0] if a.ndim == 3 else a for a in arrays]
    values = np.stack(arrays).astype(np.float32)
    if not np.isfinite(values).all():
        good = np.isfinite(values)
        if not good.any():
            raise UnreadableStudy(path, "has no finite pixel value", remedy="export it again")
        values = np.where(good, values, values[good].min()).astype(np.float32)
    return values, Intensity.BINARY if one_bit else Intensity.RELATIVE


def _is_grey(array: NDArray[Any]) -> bool:
    return array.ndim == 2 or bool((array[..., 0] == array[..., 1]).all() and (array[..., 1] == array[..., 2]).all())
