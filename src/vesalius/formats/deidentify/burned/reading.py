"""Reads what is written in a picture, at any angle, faint or small: several looks with one text detector, then one reader for what they find.

In: grey pixels. Out: `Box`, where and what. The detector and the reader are PP-OCRv6 (small) in the wheel of `rapidocr`; nothing is fetched.
Looks: the picture as it is; the picture against its surroundings, upright and turned by 90 degrees; and enlarged, those parts where the cheap pass (`letters`)
suspects more than was found. The detector finds slight tilts and half turns in any of them. What is too small for it is read where the cheap pass sees a line.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InvalidValue
from vesalius.formats.deidentify.burned import letters, places, shapes, views
from vesalius.formats.deidentify.burned.shapes import Polygon
from vesalius.registry import missing_extra

Grey = NDArray[np.uint8]
T = TypeVar("T")

_WHOLE = 1600  # longest side that the detector is given; larger pictures are reduced, and read closely in parts
_SHORT, _MOST = 736, 3.0  # shorter side to which small pictures are enlarged, and by how much at most
_NARROW = 64  # the shortest side that the detector is given
_PLACE, _WORD = 0.7, 3  # score and letters of a text that only the cheap pass has seen; on pictures without text 0.62 was the highest
_FURTHER, _STEPS, _SMALL = 1.5, 4, 20.0  # heights by which a small text is followed beyond its box at a time; how often; pixels of its height at most
_END = 32.0  # pixels by which a text that only the cheap pass has seen is longer at most
_MEETS, _ALIKE = 0.3, 0.75  # share of the smaller of two boxes that lies in the other, and of a reading's letters that the other's has: one text
_SAME = 0.5  # intersection over union of two boxes of one text
_WITHIN, _READ = 0.8, 0.9  # share of a box inside of another that was read with this score
_HOPELESS = 0.3  # score below which no more looks are tried
_TALL, _TALLEST = 0.1, 0.2  # of the shorter side: the highest letters that are written on an image, in one to three and in more
_TALLEST_OF_SMALL, _PIXELS = 0.25, 48.0  # of a small one up to a quarter, while that is no more than so many pixels
_MANY, _DOUBTLESS, _TALLEST_OF_BANNER = 6, 0.95, 0.5  # so many letters read so surely are no anatomy: a narrow picture may be a banner
_SURE = 0.75  # of a text of more than three letters
_NARROWEST, _WIDEST = 0.2, 1.2  # width of a letter with its gap, over its height
_BLOCK = 1.8  # height of several lines over that of one
_LEAST = 8  # pixels; nothing can be read on a shorter side
_KEPT = 2048  # looks that are remembered: a picture is read again after filling, and most of it has not changed


@dataclasses.dataclass(frozen=True, eq=False)
class Box:
    """A text in a picture.

    Attributes:
        polygon: corners [4, 2] as (x, y) in pixels, float.
        text: as it was read; never shown by `repr`, for it may name somebody.
        score: how sure it is that this is text, from 0 to 1; short readings count for less, see `judged`.
    """

    polygon: Polygon
    text: str = dataclasses.field(repr=False)
    score: float


class Reader:
    """Text detector and reader, loaded at the first picture.

    Args:
        threads: of the processor, for each picture.

    Raises:
        MissingExtra: from `read`, when the extra `deidentify` is not installed.
    """

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads
        self._engine: Any = None
        self._seen: OrderedDict[tuple[str, tuple[int, ...], bytes], Any] = OrderedDict()

    def read(self, grey: Grey) -> tuple[Box, ...]:
        """Everything that looks written.

        Args:
            grey: [rows, cols] uint8.

        Returns:
            Boxes, one for each text, from top to bottom.

        Raises:
            InvalidValue: not a grey picture of 8 bits.
            MissingExtra: `rapidocr` is not installed.
        """
        if grey.ndim != 2 or grey.dtype != np.uint8:
            raise InvalidValue(f"a grey picture of 8 bits is needed (got {grey.dtype} of shape {grey.shape})", remedy="give uint8 [rows, cols]")
        if min(grey.shape) < _LEAST or grey.min() == grey.max():
            return ()
        maps = letters.maps(grey)
        boxes = [self._followed(grey, box) for box in self._groups(grey, self._looks(grey, maps))]
        every = judged([*boxes, *self._undetected(grey, maps, boxes)], grey.shape)
        return tuple(sorted(every, key=lambda box: (float(box.polygon[:, 1].min()), float(box.polygon[:, 0].min()))))

    def _looks(self, grey: Grey, maps: places.Maps) -> list[Polygon]:
        against = views.local(_resized(grey, min(1.0, _WHOLE / max(grey.shape))).astype(np.float32))
        factor = max(against.shape) / max(grey.shape)
        turned = [np.stack((against.shape[1] - p[:, 1], p[:, 0]), axis=1) for p in self._detect(np.ascontiguousarray(np.rot90(against)))]
        found = [*self._detect(grey), *(p / factor for p in (*self._detect(against), *turned))]
        for top, left in places.parts(maps, grey.shape, found):
            part = grey[top : top + places.PART, left : left + places.PART]
            found += [np.add(p, (left, top)) for p in self._detect(views.local(part.astype(np.float32)))]
        return found

    def _once(self, kind: str, grey: Grey, look: Callable[[Grey], T]) -> T:
        """What a look at these very pixels gives, or gave."""
        key = kind, grey.shape, hashlib.blake2b(np.ascontiguousarray(grey).data, digest_size=16).digest()
        if key not in self._seen:
            self._seen[key] = look(grey)
            if len(self._seen) > _KEPT:
                self._seen.popitem(last=False)
        self._seen.move_to_end(key)
        found: T = self._seen[key]
        return found

    def _detect(self, grey: Grey) -> list[Polygon]:
        return self._once("detect", grey, self._detected)

    def _words(self, line: Grey) -> tuple[str, float]:
        return self._once("words", line, self._worded)

    def _detected(self, grey: Grey) -> list[Polygon]:
        """Corners of what looks like text. The picture is brought to a size that suits the detector and that bounds the work: letters of a small one are
        enlarged, a large one is reduced, a narrow one gets a border.
        """
        factor = min(max(1.0, _SHORT / min(grey.shape)), _MOST, _WHOLE / max(grey.shape))
        sized = _resized(grey, factor)
        rows, cols = (max(_NARROW, side) for side in sized.shape)
        sized = np.pad(sized, ((0, rows - sized.shape[0]), (0, cols - sized.shape[1])), mode="edge")
        boxes = self._loaded()._load_det_model()(np.repeat(sized[..., None], 3, axis=2)).boxes
        return [] if boxes is None else [np.asarray(box, np.float64) / factor for box in boxes]

    def _groups(self, grey: Grey, found: list[Polygon]) -> list[Box]:
        """One box for boxes of one text: the corners of all, the reading of the largest; what lies inside of a text that was read is part of it."""
        groups: list[list[Polygon]] = []
        for polygon in sorted(found, key=shapes.area, reverse=True):
            home = next((g for g in groups if shapes.overlap(g[0], polygon) > _SAME), None)
            groups.append([polygon]) if home is None else home.append(polygon)
        boxes: list[Box] = []
        for group in groups:
            around = shapes.around(np.concatenate(group))
            if not any(box.score > _READ and shapes.inside(around, box.polygon) > _WITHIN for box in boxes):
                boxes.append(Box(around, *self._best(grey, group[0])))
        return boxes

    def _undetected(self, grey: Grey, maps: places.Maps, known: Sequence[Box]) -> list[Box]:
        """Texts too small or too faint for the detector: places of the cheap pass in which the reader finds three letters or more."""
        found: list[Box] = []
        for polygon in places.words(maps):
            if any(_known(polygon, box.polygon) for box in (*known, *found) if box.score > _PLACE):
                continue
            text, score = self._best(grey, polygon)
            if _HOPELESS < score <= _PLACE:
                text, score = self._best(grey, shapes.grown(polygon, letters.CELL / 2))
            new = Box(polygon, text, score)
            if score > _PLACE and _count(text) >= _WORD and not any(_told(new, box) for box in (*known, *found) if box.score > _PLACE):
                found.append(_ended(self._followed(grey, new)))
        return found

    def _followed(self, grey: Grey, box: Box) -> Box:
        """A small text followed beyond both ends of its box for as long as more letters come to light: boxes of small letters end too early."""
        if box.score <= _PLACE or _count(box.text) < _WORD or shapes.sides(box.polygon)[1] > _SMALL:
            return box
        for end in (False, True):
            for _ in range(_STEPS):
                longer = shapes.lengthened(box.polygon, _FURTHER * shapes.sides(box.polygon)[1], end=end)
                text, score = self._best(grey, longer)
                if score <= max(_PLACE, _READ * box.score) or _count(text) <= _count(box.text):
                    break
                box = Box(longer, text, score)
        return box

    def _best(self, grey: Grey, polygon: Polygon) -> tuple[str, float]:
        """The surest reading of a box: as it stands, else turned over, else against its surroundings both ways."""
        line = shapes.cut(grey, polygon)
        both = (line, np.ascontiguousarray(line[::-1, ::-1]))
        best = self._words(both[0])
        for look in itertools.chain(both[1:], (views.local(way.astype(np.float32)) for way in both)):
            if best[1] > _READ:
                break
            if best[1] < _HOPELESS and look is not both[1]:
                break
            best = max(best, self._words(look), key=lambda reading: reading[1])
        return best

    def _worded(self, line: Grey) -> tuple[str, float]:
        from rapidocr.ch_ppocr_rec import TextRecInput

        reader = self._loaded()._load_rec_model()
        answer = reader(TextRecInput(img=[np.repeat(line[..., None], 3, axis=2)], return_word_box=False))
        text = str(answer.txts[0]).strip()
        return text, float(answer.scores[0]) if text else 0.0

    def _loaded(self) -> Any:  # noqa: ANN401 - a foreign object without types
        if self._engine is None:
            try:
                import onnxruntime  # noqa: F401 - rapidocr names it only when it is too late
                from rapidocr import RapidOCR
            except ModuleNotFoundError as error:
                raise missing_extra("rapidocr", "reading text in pixels") from error
            threads = "EngineConfig.onnxruntime.intra_op_num_threads"
            self._engine = RapidOCR(
                params={"Global.log_level": "critical", threads: self._threads, "EngineConfig.onnxruntime.inter_op_num_threads": 1, "Det.limit_side_len": 32}
            )
        return self._engine


def _resized(grey: Grey, factor: float) -> Grey:
    import cv2

    if factor == 1:
        return grey
    size = tuple(max(1, round(side * factor)) for side in grey.shape[::-1])
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC), np.uint8)


def _known(place: Polygon, text: Polygon) -> bool:
    """Whether a text covers a place, or is one line of several in it: what else is in there comes to light when that line is filled."""
    block = shapes.inside(text, place) > _SAME and shapes.sides(place)[1] > _BLOCK * shapes.sides(text)[1]
    return block or shapes.inside(place, text) > _WITHIN


def _told(new: Box, known: Box) -> bool:
    """Whether a reading tells nothing new: it is part of a text that lies in the same place."""
    if shapes.shared(new.polygon, known.polygon) < _MEETS * min(shapes.area(new.polygon), shapes.area(known.polygon)):
        return False
    read, there = ("".join(sign for sign in box.text.casefold() if sign.isalnum()) for box in (new, known))
    same = sum(block.size for block in difflib.SequenceMatcher(None, read, there, autojunk=False).get_matching_blocks())
    return same >= _ALIKE * len(read)


def _ended(box: Box) -> Box:
    """One height longer at each end: the first and the last letter of a text that no detector saw may be too faint to be read."""
    by = min(shapes.sides(box.polygon)[1], _END)
    return dataclasses.replace(box, polygon=shapes.lengthened(shapes.lengthened(box.polygon, by, end=False), by, end=True))


def judged(boxes: Sequence[Box], shape: tuple[int, ...]) -> tuple[Box, ...]:
    """Boxes with scores that take their shape into account; ribs, vessels and rings are often taken for a few letters.

    One letter, or one letter repeated, counts a quarter, unless it stands beside a text of its height. Two letters that were read with less than 0.97 count
    0.4 times, three with less than 0.8 half, more with less than 0.75 0.6 times; signs are not counted. Letters that are higher than a tenth of the picture
    (of a small one a quarter; more than three that differ and are read with 0.75: a fifth; six and more read with 0.95: half), or of a width that their
    height does not allow, count a quarter.

    Args:
        boxes: with the reader's own scores. shape: (rows, cols) of the picture.
    """
    first = [dataclasses.replace(box, score=box.score * _weight(box, shape)) for box in boxes]
    texts = [box for box in first if box.score >= 0.5 and _count(box.text) > 2]
    return tuple(
        raw if _count(raw.text) == 1 and raw.score >= 0.5 and any(shapes.beside(raw.polygon, other.polygon) for other in texts) else box
        for raw, box in zip(boxes, first, strict=True)
    )


def _count(text: str) -> int:
    """Letters and digits; one that is only repeated counts once."""
    signs = [sign for sign in text if sign.isalnum()]
    return len(signs) if len(set(signs)) > 1 else min(len(signs), 1)


def _varied(text: str) -> bool:
    """Whether more than half of the letters differ: the slices of a mosaic look like one large letter, again and again."""
    signs = [sign for sign in text if sign.isalnum()]
    return 2 * len(set(signs)) > len(signs)


def _weight(box: Box, shape: tuple[int, ...]) -> float:
    count = _count(box.text)
    long, short = shapes.sides(box.polygon)
    width = long / max(short, 1.0) / max(count, 1)
    side = min(shape[:2])
    tallest = _TALL * side
    if count > 3:
        tallest = max(tallest, min(_TALLEST_OF_SMALL * side, _PIXELS))
        if box.score >= _SURE and _varied(box.text):
            tallest = max(tallest, _TALLEST * side)
        if count >= _MANY and box.score >= _DOUBTLESS:
            tallest = _TALLEST_OF_BANNER * side
    if count <= 1 or short > tallest or not _NARROWEST <= width <= _WIDEST:
        return 0.25
    enough, otherwise = {2: (0.97, 0.4), 3: (0.8, 0.5)}.get(count, (_SURE, 0.6))
    return 1.0 if box.score >= enough else otherwise
