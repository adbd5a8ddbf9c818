"""The evidence page: 1600 points wide, read in one glance from the decision down to the footnote.

In: an `Exhibit`. Out: a Pillow picture, or a PNG file.
From the top: the decision and why; the image, and where the answer comes from; question and answer; signals against limits; rewordings; controls; sources.
"""

from __future__ import annotations

from pathlib import Path

import PIL.Image

from vesalius.domain.decision import Concern, Signal, Verdict
from vesalius.domain.exchange import Answer, Outcome, Rewording
from vesalius.domain.reading import Reading
from vesalius.errors import UserError
from vesalius.evidence.exhibit import Bounds, Exhibit, told_by
from vesalius.evidence.picture import fitted, proportions, with_graphics, with_heat
from vesalius.evidence.sheet import FAINT, INK, LINE, PANEL, PAPER, SCALE, SOFT, STRONG, TINT, Sheet

WIDTH = 1600
_TALLEST = 2200
_EDGE, _GAP = 40, 16
_LEFT = 960  # width of the left column
_RIGHT_AT = _EDGE + _LEFT + 44
_RIGHT = WIDTH - _EDGE - _RIGHT_AT
_VERDICTS = {Verdict.RELEASED: "Released", Verdict.CAVEATED: "Released with a caveat", Verdict.REFERRED: "Referred to a physician"}
_MOST_REASONS = 4


def draw(exhibit: Exhibit) -> PIL.Image.Image:
    """The page as a picture, 1600 pixels wide and as high as it needs."""
    sheet = Sheet(WIDTH, _TALLEST)
    top = _banner(sheet, exhibit.reading) + 28
    left = _pictures(sheet, exhibit, top)
    right = _said(sheet, exhibit.reading, top)
    right = _signals(sheet, exhibit, right + 22)
    left = _rewordings(sheet, exhibit, left + 34)
    right = _controls(sheet, exhibit, right + 26)
    return sheet.finish(_footer(sheet, exhibit.reading, max(left, right) + 26))


def write(exhibit: Exhibit, path: Path) -> Path:
    """Write the page as PNG.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        draw(exhibit).save(path, format="PNG")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})", remedy="give a folder that you may write to with --out") from error
    return path


def _banner(sheet: Sheet, reading: Reading) -> float:
    """The decision, and its gravest reasons; returns the y below."""
    verdict = reading.decision.verdict
    reasons = _reasons(reading)
    shown = reasons[:_MOST_REASONS]
    lines = [sheet.cut(text, 17, WIDTH - 2 * _EDGE - 96 - 430) for text in shown]
    height = max(112.0, 40 + 26 * max(2, len(shown) + (len(reasons) > len(shown))))
    sheet.box((0, 0), (WIDTH, height), fill=TINT[verdict], radius=0)
    sheet.box((0, height - 3), (WIDTH, height), fill=STRONG[verdict], radius=0)
    sheet.mark((_EDGE + 34, height / 2), 32, verdict)
    sheet.text((_EDGE + 92, height / 2), _VERDICTS[verdict], 34, STRONG[verdict], bold=True, anchor="lm")
    x = _EDGE + 96 + 430
    if len(reasons) > len(shown):
        lines.append(f"and {len(reasons) - len(shown)} more in the record")
    y = height / 2 - 13 * len(lines) + 19
    for i, line in enumerate(lines):
        more = i >= len(shown)
        sheet.text((x, y), line, 17, SOFT if more else INK)
        y += 26
    return height


def _reasons(reading: Reading) -> list[str]:
    if reading.decision.concerns:
        return [_short(c) for c in reading.decision.concerns]
    return ["Every question that was put to this answer was passed."]


def _short(concern: Concern) -> str:
    """A concern without the sentence that every referral has in common."""
    reason = concern.reason.replace(": physician review required", "")
    return reason[:1].upper() + reason[1:]


def _pictures(sheet: Sheet, exhibit: Exhibit, top: float) -> float:
    """The plain image and where the answer comes from, side by side; returns the y below their captions."""
    image, saliency = exhibit.image, exhibit.reading.saliency
    wide = (_LEFT - _GAP) / 2
    high = min(wide * min(1.05, max(0.62, proportions(image))), 500)
    box = (round(wide * SCALE), round(high * SCALE))
    plain, place = fitted(image, box)
    sheet.paste((_EDGE, top), with_graphics(plain, image, place))
    second = _EDGE + wide + _GAP
    note = ", ".join(filter(None, (str(image.modality), image.body_part, image.view, f"{image.cols} x {image.rows}")))
    marks = " · blue: marked in the file" if image.overlays else ""
    y = top + high + 24
    sheet.text((_EDGE, y), sheet.cut(f"The image · {note}{marks}", 14, wide), 14, SOFT)
    if saliency is None:
        sheet.box((second, top), (second + wide, top + high), fill=PANEL, outline=LINE, radius=0)
        reason = str(exhibit.reading.model.get("saliency", "it was not asked for"))
        sheet.text((second + wide / 2, top + high / 2 - 12), "Where the answer comes from is not known", 19, SOFT, anchor="mm")
        for i, line in enumerate(sheet.wrap(reason, 14, wide - 40, 3)):
            sheet.text((second + wide / 2, top + high / 2 + 18 + 19 * i), line, 14, FAINT, anchor="mm")
    else:
        sheet.paste((second, top), with_heat(image, saliency.map, box))
        # attention is no cause of the answer, and its map must not be read as one
        title = "Where attention leads" if saliency.method.startswith(("rollout", "attention")) else "Where the answer comes from"
        return sheet.paragraph((second, y - 14), f"{title} · {saliency.method}", 14, wide, lines=2, colour=SOFT) - 4
    return y


def _said(sheet: Sheet, reading: Reading, top: float) -> float:
    """Question and answer; returns the y below."""
    sheet.label((_RIGHT_AT, top + 10), "Question")
    y = sheet.paragraph((_RIGHT_AT, top + 22), reading.question.text, 23, _RIGHT, lines=3)
    sheet.label((_RIGHT_AT, y + 24), "Answer of the model")
    answer = reading.answer
    short = len(answer.text) <= 24
    y = sheet.paragraph((_RIGHT_AT, y + 36), _words(answer), 40 if short else 22, _RIGHT, lines=1 if short else 4, bold=True)
    notes = []
    if answer.confidence is not None:
        notes.append(f"raw confidence {answer.confidence:.0%}")
    if reading.decision.verdict is Verdict.REFERRED:
        notes.append("not released: for the physician's eyes")
    if notes:
        sheet.text((_RIGHT_AT, y + 14), " · ".join(notes), 15, SOFT)
        y += 20
    told = told_by(reading.model)
    if told:
        sheet.label((_RIGHT_AT, y + 24), "What the model was told of the image")
        y = sheet.paragraph((_RIGHT_AT, y + 34), told, 15, _RIGHT, lines=4, colour=SOFT)
    return y


def _words(answer: Answer) -> str:
    return answer.text if answer.text.strip() else "(nothing that can be read)"


def _signals(sheet: Sheet, exhibit: Exhibit, top: float) -> float:
    """Each signal on a track whose shades are its limits; returns the y below."""
    sheet.label((_RIGHT_AT, top + 10), "Signals against their limits")
    y = top + 24.0
    for name, signal in exhibit.reading.signals.items().items():
        _signal(sheet, name, signal, exhibit.limits[name], y)
        y += 47
    return y


def _signal(sheet: Sheet, name: str, signal: Signal, bounds: Bounds, top: float) -> None:
    track, end = _RIGHT_AT + 166, _RIGHT_AT + _RIGHT - 84
    wide, middle = end - track, top + 16
    sheet.text((_RIGHT_AT, middle + 5), name.replace("_", " "), 16, INK)
    if signal.value is None:
        sheet.box((track, middle - 7), (end, middle + 7), fill=PANEL, outline=LINE, radius=7)
        sheet.text(((track + end) / 2, middle), "not measured", 12, FAINT, anchor="mm")
        sheet.text((end + 14, middle + 5), "–", 16, FAINT)
    else:
        for start, stop, verdict in _zones(bounds):
            if stop > start:
                sheet.box((track + wide * start, middle - 7), (track + wide * stop, middle + 7), fill=TINT[verdict], radius=0)
        for limit, verdict in ((bounds.caveat, Verdict.CAVEATED), (bounds.refer, Verdict.REFERRED)):
            sheet.line((track + wide * limit, middle - 9), (track + wide * limit, middle + 9), STRONG[verdict], 1.5)
        verdict = bounds.verdict(signal.value)
        sheet.diamond((track + wide * signal.value, middle), 10, STRONG[verdict])
        sheet.text((end + 14, middle + 5), f"{signal.value:.2f}", 16, INK)
        sheet.mark((_RIGHT_AT + _RIGHT - 10, middle), 9, verdict)
    if signal.reason:
        sheet.text((_RIGHT_AT, middle + 23), sheet.cut(signal.reason, 12, _RIGHT), 12, FAINT)


def _zones(bounds: Bounds) -> tuple[tuple[float, float, Verdict], ...]:
    if bounds.below:
        return (0.0, bounds.refer, Verdict.REFERRED), (bounds.refer, bounds.caveat, Verdict.CAVEATED), (bounds.caveat, 1.0, Verdict.RELEASED)
    return (0.0, bounds.caveat, Verdict.RELEASED), (bounds.caveat, bounds.refer, Verdict.CAVEATED), (bounds.refer, 1.0, Verdict.REFERRED)


def _rewordings(sheet: Sheet, exhibit: Exhibit, top: float) -> float:
    """The same question in other words with what was said to each; returns the y below."""
    rows = list(zip(exhibit.reading.rewordings, exhibit.flipped, strict=True))
    flipped = sum(exhibit.flipped)
    sheet.label((_EDGE, top), f"Asked in other words · {flipped} of {len(rows)} changed the answer" if rows else "Asked in other words")
    y = top + 12
    if not rows:
        sheet.text((_EDGE, y + 22), exhibit.reading.signals.flip_rate.reason or "no rewording", 16, SOFT)
        return y + 30
    longest = max(len(answer.text) for (_, answer), _ in rows)
    said = _EDGE + _LEFT - (330 if longest <= 24 else 520)  # sentences get the room that short answers do not need
    for i, ((rewording, answer), flip) in enumerate(rows):
        _rewording(sheet, rewording, answer, flip, (said, y), shaded=i % 2 == 0)
        y += 36
    return y


def _rewording(sheet: Sheet, rewording: Rewording, answer: Answer, flip: bool, at: tuple[float, float], *, shaded: bool) -> None:
    """One line of the table, the answer's column and the top at `at`."""
    said, top = at
    if shaded:
        sheet.box((_EDGE, top), (_EDGE + _LEFT, top + 36), fill=PANEL, radius=4)
    base = top + 24
    x = _EDGE + 12
    mark = _EDGE + _LEFT - 112
    opposite = rewording.polarity == -1
    room: float = said - x - 20
    if opposite:
        chip = "asks the opposite"
        size = sheet.length(chip, 12) + 16
        sheet.box((said - size - 12, top + 8), (said - 12, top + 28), fill=PAPER, outline=FAINT, radius=10)
        sheet.text((said - 12 - size / 2, top + 18), chip, 12, SOFT, anchor="mm")
        room -= size + 12
    sheet.text((x, base), sheet.cut(rewording.text, 16, room), 16, INK)
    reads = {Outcome.YES: " (so: no)", Outcome.NO: " (so: yes)"}.get(answer.outcome, "") if opposite else ""
    sheet.text((said, base), sheet.cut(_words(answer) + reads, 16, mark - said - 12), 16, INK, bold=len(answer.text) <= 24)
    if flip:
        sheet.diamond((mark + 7, top + 18), 8, STRONG[Verdict.REFERRED])
        sheet.text((mark + 22, base), "changed", 14, STRONG[Verdict.REFERRED], bold=True)
    else:
        sheet.text((mark + 22, base), "same", 14, FAINT)


def _controls(sheet: Sheet, exhibit: Exhibit, top: float) -> float:
    """The wrong pictures, small, with what was said to each; returns the y below."""
    sheet.label((_RIGHT_AT, top + 10), "Asked of other pictures")
    y, side = top + 24.0, 112
    if not exhibit.controls:
        sheet.text((_RIGHT_AT, y + 20), sheet.cut(exhibit.reading.signals.image_reliance.reason or "none", 15, _RIGHT), 15, SOFT)
        return y + 30
    wide = _RIGHT / 2
    for i, (name, image) in enumerate(exhibit.controls.items()):
        x = _RIGHT_AT + (i % 2) * wide  # two in a row
        row = y + (i // 2) * (side + 16)
        answer = exhibit.reading.controls[name]
        picture, _ = fitted(image, (side * SCALE, side * SCALE))
        sheet.paste((x, row), picture)
        room = wide - side - 26
        sheet.text((x + side + 14, row + 20), sheet.cut(name, 14, room), 14, SOFT)
        short = len(answer.text) <= 12
        below = sheet.paragraph((x + side + 14, row + 28), _words(answer), 20 if short else 14, room, lines=1 if short else 3, bold=short)
        moved = exhibit.moved[name]
        sheet.text((x + side + 14, below + 14), "changed" if moved else "the same answer", 14, STRONG[Verdict.RELEASED] if moved else SOFT, bold=moved)
        if answer.p_yes is not None:
            sheet.text((x + side + 14, below + 33), f"p(yes) {answer.p_yes:.2f}", 13, FAINT)
    return y + (1 + (len(exhibit.controls) - 1) // 2) * (side + 16)


def _footer(sheet: Sheet, reading: Reading, top: float) -> float:
    """Who said it, under which rules; returns the height of the page."""
    sheet.line((_EDGE, top), (WIDTH - _EDGE, top))
    model = f"Model {reading.model.get('name', 'unknown')} {str(reading.model.get('revision', ''))[:12]}".rstrip()
    policy = f"policy {reading.policy.get('name', 'unknown')} {reading.policy.get('version', '')} ({str(reading.policy.get('sha256', ''))[:12]})"
    samples = f"{len(reading.samples)} samples"
    sheet.text((_EDGE, top + 28), sheet.cut(f"{model} · {policy} · {samples} · made by Vesalius", 14, 1150), 14, SOFT)
    sheet.text((WIDTH - _EDGE, top + 28), "Not for diagnostic use", 15, INK, bold=True, anchor="rs")
    return top + 48
