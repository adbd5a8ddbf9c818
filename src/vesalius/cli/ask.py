"""`vesalius ask STUDY... "question"`: one question about one study, answered, questioned, decided.

In: paths, a question and options. Out: the decision and the answer as text or as one JSON object; with --out also a picture of the evidence.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vesalius.cli.console import Steps, say
from vesalius.cli.options import device_option, precision_option
from vesalius.errors import UserError

if TYPE_CHECKING:
    from vesalius.domain.reading import Reading
    from vesalius.domain.study import Study
    from vesalius.reader import Reader

REFERRED = 3
PICTURE, RECORD = "evidence.png", "reading.json"
LOOKS = ("occlusion", "gradient", "rollout")  # of `models.looking`, which takes seconds to import
_COLOUR = {"released": "blue", "caveated": "yellow", "referred": "magenta"}
_WORDS = {"released": "Released", "caveated": "Released with a caveat", "referred": "Referred to a physician"}


@click.command("ask", short_help="Ask a question about a study.")
@click.argument("study", nargs=-1, metavar="STUDY...")
@click.argument("question", required=False, metavar="QUESTION")
@click.option("--model", default="pocket", show_default=True, metavar="NAME", help="Whom to ask; 'vesalius models' lists them.")
@device_option
@precision_option
@click.option("--policy", type=click.Path(path_type=Path), metavar="FILE", help="What may be released (TOML); by default the policy that ships.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output, and nothing else there.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help=f"Write {PICTURE} and {RECORD} into this folder.")
@click.option("--look", type=click.Choice(LOOKS), metavar="METHOD", help=f"How to find where an answer comes from: {', '.join(LOOKS)}; else the first.")
@click.option("--modality", metavar="TERM", help="What a picture's header would say: CR, CT, MR, US, ...")
@click.option("--body-part", metavar="TERM", help="HEAD, CHEST, ABDOMEN, ...")
@click.option("--view", metavar="TERM", help="PA, AP, LL, AXIAL, ...")
@click.option("--frame", type=click.IntRange(min=0), metavar="N", help="Which frame of a multi-frame file, from 0; by default the middle one.")
@click.option("--study", "uid", metavar="UID", help="Which study, when a folder holds several of one patient.")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Data root whose training images serve as other patients; by default drawn ones.")
@click.option("--rewordings", type=click.IntRange(0, 64), default=8, show_default=True, metavar="N", help="At most so many other wordings.")
@click.option("--samples", type=click.IntRange(0, 64), default=8, show_default=True, metavar="N", help="Answers drawn at a temperature.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="The same seed gives the same reading.")
@click.option("--quiet", is_flag=True, help="No progress on standard error.")
def ask(study: tuple[str, ...], question: str | None, as_json: bool, out: Path | None, quiet: bool, **options: Any) -> None:  # noqa: ANN401
    """Ask QUESTION about STUDY: a DICOM file, a picture, a folder, or several files of one patient.

    The question is also asked in other words, of a blank image and of another patient's, and the answer is weighed against a policy.

    \b
    Exit codes: 0 released, maybe with a caveat; 3 referred to a physician;
    2 the study, the question or an option cannot be used; 1 a bug.

    \b
    Examples:
      vesalius ask study.dcm "Is there a lesion in the liver?"
      vesalius ask film.png "Is the heart enlarged?" --modality CR --body-part CHEST
      vesalius ask folder/ "Is there a fracture?" --json --out evidence/
    """  # noqa: D301 - click reads the character \b, not the two letters
    ctx = click.get_current_context()
    paths, asked = _arguments(ctx, study, question)
    look = options.pop("look")
    if look is not None and out is None:
        raise click.UsageError("--look says how the picture of the evidence is made, and there is none: add --out DIR", ctx)
    with Steps(silent=quiet) as steps:
        if out is not None:
            _make(out)
        reader, case = _prepare(paths, asked, options, steps)
        reading = reader.ask(case, asked, look=look or out is not None, progress=steps)
        if out is not None:
            reading = _write(reader, case, reading, out, steps)
    click.echo(json.dumps(reading.to_json(), indent=2, allow_nan=False) if as_json else _text(reading))
    if str(reading.decision.verdict) == "referred":
        ctx.exit(REFERRED)


def _arguments(ctx: click.Context, study: tuple[str, ...], question: str | None) -> tuple[list[str], str]:
    """Paths and question apart: of several words the last is the question."""
    how = 'write: vesalius ask STUDY "question"'
    if question is None:
        raise click.UsageError(f"study and question are missing, {how}", ctx)
    if not study:
        missing = "question" if _is_path(question) else "study"
        raise click.UsageError(f"the {missing} is missing, {how}", ctx)
    if _is_path(question):
        raise click.UsageError(f"the question is missing, the last word {question!r} is a path; {how}", ctx)
    return list(study), question


def _is_path(text: str) -> bool:
    try:
        return bool(text) and Path(text).exists()
    except OSError:  # too long for a path
        return False


def _prepare(paths: list[str], question: str, options: dict[str, Any], steps: Steps) -> tuple[Reader, Study]:
    """Cheap checks first, so that a mistake is told before a model is loaded."""
    from vesalius.domain.exchange import Question
    from vesalius.formats import read
    from vesalius.models import cards
    from vesalius.reader import open_reader
    from vesalius.safety.policy import read_policy

    Question(question)
    cards.check(options["model"])
    if options["policy"] is not None:
        read_policy(options["policy"])
    steps("reading the study")
    frame = options["frame"]
    study = read(
        paths[0] if len(paths) == 1 else paths,
        modality=options["modality"],
        body_part=options["body_part"],
        view=options["view"],
        frames="choose" if frame is None else frame,
        study=options["uid"],
    )
    names = ("policy", "data", "rewordings", "samples", "seed", "device", "precision")
    return open_reader(options["model"], **{name: options[name] for name in names}, progress=steps), study


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror})", remedy="give --out a folder that you may write to") from error


def _write(reader: Reader, study: Study, reading: Reading, out: Path, steps: Steps) -> Reading:
    """Picture and record; a picture that cannot be drawn does not cost the answer."""
    from vesalius.evidence import page

    steps("drawing the evidence")
    written = [str(out / RECORD)]
    try:
        page.write(reader.exhibit(study, reading), out / PICTURE)
        written.insert(0, str(out / PICTURE))
    except Exception as error:  # noqa: BLE001 - the answer stands without its picture
        say(f"the evidence picture could not be made ({type(error).__name__}: {error}).")
    reading = dataclasses.replace(reading, evidence=tuple(written))
    try:
        (out / RECORD).write_text(json.dumps(reading.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        say(f"{out / RECORD} could not be written ({error.strerror}).")
        reading = dataclasses.replace(reading, evidence=tuple(written[:-1]))
    return reading


def _text(reading: Reading) -> str:
    """The reading for a person."""
    from vesalius.evidence.exhibit import told_by

    verdict = str(reading.decision.verdict)
    lines = [click.style(_WORDS[verdict], fg=_COLOUR[verdict], bold=True), ""]
    confidence = "" if reading.answer.confidence is None else f"   (raw confidence {reading.answer.confidence:.0%})"
    held = "   not released" if verdict == "referred" else ""
    lines += [f"  question  {reading.question.text}", f"  answer    {reading.answer.text or '(nothing that can be read)'}{confidence}{held}"]
    told = told_by(reading.model)
    if told:
        lines.append(f"  seen      {told}")
    if reading.decision.concerns:
        lines += ["", "Why", *(f"  - {concern.reason}" for concern in reading.decision.concerns)]
    lines += ["", "Signals"]
    for name, signal in reading.signals.items().items():
        value = "   -" if signal.value is None else f"{signal.value:.2f}"
        lines.append(f"  {name.replace('_', ' '):<20}{value}   {signal.reason or ''}".rstrip())
    if reading.evidence:
        lines += ["", "Evidence", *(f"  {name}" for name in reading.evidence)]
    model, policy = reading.model, reading.policy
    seconds = reading.timing.get("total", 0.0)
    return "\n".join([*lines, "", f"{model.get('name')} under policy {policy.get('name')} {policy.get('version')}, {seconds:.1f} s. Not for diagnostic use."])
