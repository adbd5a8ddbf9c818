"""`vesalius deidentify`: a folder or archive of studies without what identifies their patients, proven study by study.

In: the words of the command line. Out: a summary as text or JSON; exit code 3 when something was set apart, or a release is not what its manifests say.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from vesalius.cli.archives import SOME_APART, begin, make_key
from vesalius.cli.console import Steps


@click.command()
@click.argument("source", type=click.Path(path_type=Path), required=False)
@click.argument("destination", type=click.Path(path_type=Path), required=False)
@click.option("--key-file", type=click.Path(path_type=Path), required=True, help="The pseudonym key; made with --new-key.")
@click.option("--new-key", is_flag=True, help="Make the key file first; it must not exist.")
@click.option("--profile", type=click.Path(path_type=Path), help="A TOML file with the tables header, pixels and text.")
@click.option("--set", "settings", multiple=True, metavar="TABLE.KEY=VALUE", help="One setting of the profile; may be given several times.")
@click.option("--workers", default=1, show_default=True, help="Processes.")
@click.option("--ray", metavar="ADDRESS", help="A Ray cluster instead of processes; its machines must see the same paths.")
@click.option("--dry-run", is_flag=True, help="Do everything and leave nothing behind.")
@click.option("--check", type=click.Path(path_type=Path), metavar="DESTINATION", help="Hold a release against its manifests; nothing else is done.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def deidentify(
    source: Path | None,
    destination: Path | None,
    key_file: Path,
    new_key: bool,
    profile: Path | None,
    settings: tuple[str, ...],
    workers: int,
    ray: str | None,
    dry_run: bool,
    check: Path | None,
    as_json: bool,
) -> None:
    """De-identify all studies of SOURCE into DESTINATION: headers, burned-in text, reports.

    DESTINATION/release may be given away; DESTINATION/private holds names and must not be. The source is only read. Given again, the command goes on where it
    was stopped. Exit code 3: something was set apart (private/set_apart.csv says what and why).
    """
    if check is not None:
        raise click.exceptions.Exit(_check(check, key_file, as_json=as_json))
    if source is None and new_key:
        make_key(key_file)
        return
    if source is None or destination is None:
        raise click.UsageError("give SOURCE and DESTINATION")
    from vesalius.pipeline.archive import deidentify_archive

    plan = begin(source, key_file, new_key=new_key, profile=profile, settings=settings)
    with Steps(silent=as_json) as steps:
        summary = deidentify_archive(source, destination, key_file, plan, workers=workers, ray=ray, dry=dry_run, tell=steps.share)
    if as_json:
        click.echo(json.dumps({**dataclasses.asdict(summary), "whole": summary.whole, "dry_run": dry_run}))
    else:
        _print(summary, destination, dry=dry_run)
    if not summary.whole:
        raise click.exceptions.Exit(SOME_APART)


def _print(summary: object, destination: Path, *, dry: bool) -> None:
    from vesalius.cli.table import facts
    from vesalius.pipeline.archive import Summary

    if not isinstance(summary, Summary):
        return
    studies = ", ".join(f"{count:,} {state}" for state, count in sorted(summary.studies.items()))
    rows: list[tuple[str, str]] = [
        ("studies", studies + (f" ({summary.before:,} done before)" if summary.before else "")),
        ("files", ", ".join(f"{count:,} {state}" for state, count in summary.files.items())),
        ("boxes filled", f"{summary.boxes:,}"),
    ]
    if dry:
        rows.append(("nothing written", "this was a dry run"))
    else:
        rows.append(("to give away", str(destination / "release")))
        if summary.files["apart"]:
            rows.append(("set apart, and why", str(destination / "private" / "set_apart.csv")))
        if summary.files["left out"]:
            rows.append(("left out, and why", str(destination / "private" / "left_out.csv")))
    click.echo(facts(rows))


def _check(destination: Path, key_file: Path, *, as_json: bool) -> int:
    from vesalius.formats.deidentify import Key
    from vesalius.pipeline.archive import manifest

    release = destination / "release" if (destination / "release").is_dir() else destination
    wrong = manifest.check(release, Key.read(key_file))
    if as_json:
        click.echo(json.dumps({"wrong": wrong}))
    else:
        click.echo("\n".join(wrong) or "every file is what its manifest says")
    return SOME_APART if wrong else 0
