"""`vesalius prepare`: a directory of studies and reports becomes a training set.

In: the words of the command line. Out: a summary as text or JSON; exit code 3 when a study or a file was set apart.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from vesalius.cli.archives import SOME_APART, begin
from vesalius.cli.console import Steps


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("destination", type=click.Path(path_type=Path))
@click.option("--key-file", type=click.Path(path_type=Path), required=True, help="The pseudonym key.")
@click.option("--new-key", is_flag=True, help="Make the key file first; it must not exist.")
@click.option("--profile", type=click.Path(path_type=Path), help="A TOML file with the tables header, pixels and text.")
@click.option("--set", "settings", multiple=True, metavar="TABLE.KEY=VALUE", help="One setting of the profile; may be given several times.")
@click.option("--hold", default=0.1, show_default=True, help="Share of the patients that are not trained on.")
@click.option("--wordings", default=1, show_default=True, help="Wordings of each question.")
@click.option("--seed", default=0, show_default=True, help="Of the instructions.")
@click.option("--licence", default="of the hospital: not stated", show_default=True, help="Under which the set may be used, for its records.")
@click.option("--workers", default=1, show_default=True, help="Processes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def prepare(
    source: Path,
    destination: Path,
    key_file: Path,
    new_key: bool,
    profile: Path | None,
    settings: tuple[str, ...],
    hold: float,
    wordings: int,
    seed: int,
    licence: str,
    workers: int,
    as_json: bool,
) -> None:
    """Turn SOURCE, a directory of DICOM and reports, into DESTINATION/training: verified, validated, in shards, with instructions.

    DESTINATION/release and DESTINATION/private are those of `vesalius deidentify`. Exit code 3: something was set apart.
    """
    from vesalius.instruct.build.study import How
    from vesalius.pipeline.prepare import prepare as run

    plan = begin(source, key_file, new_key=new_key, profile=profile, settings=settings)
    with Steps(silent=as_json) as steps:
        made = run(source, destination, key_file, plan, how=How(seed=seed, wordings=wordings), hold=hold, workers=workers, licence=licence, tell=steps.share)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(made)))
    else:
        from vesalius.cli.table import facts

        studies = ", ".join(f"{count:,} {state}" for state, count in sorted(made.archive.studies.items()))
        tasks = [f"{count:,} {task}" for task, count in made.instructions.items()]
        left = [f"{count:,} {reason}" for reason, count in made.left_out.items()]
        remarks = [f"{count:,} {severity}" for severity, count in made.remarks.items()]
        rows: list[tuple[str, str | list[str]]] = [
            ("studies", studies),
            ("pictures", f"{made.pictures:,} for training, {made.held:,} of patients held out"),
            ("left out", left),
            ("remarks", remarks),
            ("instructions", tasks),
            ("written", str(destination / "training")),
        ]
        click.echo(facts(rows))
    if not made.archive.whole:
        raise click.exceptions.Exit(SOME_APART)
