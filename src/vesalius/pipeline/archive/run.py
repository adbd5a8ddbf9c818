"""A whole archive: the source is indexed, its studies are shared among processes, and what came of each is counted.

In: a source, a destination, a key file, a plan. Out: `release/`, `private/`, a `Summary`. Stopped at any point it goes on where it was: a study counts as done
when its record and its release are there for the same files and the same plan.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from vesalius.errors import UserError
from vesalius.formats.deidentify import Key
from vesalius.pipeline.archive.index import Index
from vesalius.pipeline.archive.plan import Plan
from vesalius.pipeline.archive.sources import entries
from vesalius.pipeline.archive.study import RELEASED, Order, Worker
from vesalius.work.crew import Alone, Crew, Hands, Unit

Tell = Callable[[int, int, str], None]
_MAKER = "vesalius.pipeline.archive.study:Worker"
_AT_A_TIME = 16  # studies a worker, between two looks at the progress


@dataclasses.dataclass(frozen=True)
class Summary:
    """What came of an archive.

    Args:
        studies: by state. files: "released", "apart" (of studies), "left out" (of no study). boxes: filled in pixels. before: studies that were done already.
    """

    studies: dict[str, int]
    files: dict[str, int]
    boxes: int
    before: int

    @property
    def whole(self) -> bool:
        """Whether every study was released with all its files."""
        return not self.files["apart"] and set(self.studies) <= {RELEASED}


def deidentify_archive(
    source: Path, destination: Path, key_file: Path, plan: Plan, *, workers: int = 1, ray: str | None = None, dry: bool = False, tell: Tell = lambda *_: None
) -> Summary:
    """De-identify all studies of a source.

    Args:
        source: folder, file or archive; it is only read. destination: outside of the source; made when absent.
        key_file: of `Key.read`. workers: processes. ray: address of a cluster instead; all its machines must see the same paths.
        dry: do everything and leave nothing behind.
        tell: called with done, total and what.

    Raises:
        UserError: no source, no study in it, a destination within it or not writable, a key that cannot be used, fewer than one worker.
    """
    source, destination = source.resolve(), destination.resolve()
    if workers < 1:
        raise UserError(f"{workers} workers cannot work", remedy="give --workers 1 or more")
    if destination == source or source in destination.parents or destination in source.parents:
        raise UserError(f"{destination}: source and destination lie within one another", remedy="give a destination elsewhere")
    Key.read(key_file)
    with _folders(destination, dry=dry) as (private, release):
        order = Order(private, release, key_file.resolve(), plan, dry)
        tell(0, 1, "looking for files")
        with Index(private / "index.sqlite") as index:
            index.scan(entries(source, private / "unpacked"), lambda n: tell(0, 1, f"looking for files: {n:,}"))
            studies, left = index.studies(), list(index.left_out())
        if not dry:
            _list(private / "left_out.csv", left)
        if not studies:
            why = "" if dry or not left else f"; {private / 'left_out.csv'} says why each of its files was left out"
            raise UserError(f"{source}: no DICOM study was found in it", remedy=f"give a folder or an archive of DICOM files{why}")
        said = _shared(order, studies, workers, ray, tell)
        if not dry:
            _list(private / "set_apart.csv", list(_apart(private)))
    files = Counter({"released": 0, "apart": 0, "left out": len(left)})
    for one in said:
        files.update({"released": int(one["released"]), "apart": int(one["apart"])})
    before = sum(one["before"] == "yes" for one in said)
    return Summary(dict(Counter(one["state"] for one in said)), dict(files), sum(int(one["boxes"]) for one in said), before)


@contextlib.contextmanager
def _folders(destination: Path, *, dry: bool) -> Iterator[tuple[Path, Path]]:
    """The private folder, which its owner alone can enter, and the release."""
    if dry:
        with tempfile.TemporaryDirectory(prefix="vesalius-") as scratch:
            yield Path(scratch), destination / "release"
        return
    private, release = destination / "private", destination / "release"
    try:
        release.mkdir(parents=True, exist_ok=True)
        private.mkdir(mode=0o700, exist_ok=True)
        private.chmod(0o700)
        with _alone(private / "lock"):
            shutil.rmtree(private / "staging", ignore_errors=True)
            yield private, release
            shutil.rmtree(private / "staging", ignore_errors=True)
    except OSError as error:
        raise UserError(f"{destination}: cannot be written ({error.strerror})", remedy="make room, or give a folder that you may write to") from None


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One run at a time in a destination; the system lets go of the lock when a run is killed."""
    with lock.open("w", encoding="ascii") as stream:
        if os.name == "posix":
            import fcntl

            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"{lock.parent.parent}: another run is writing there", remedy="wait for it, or give another destination") from None
        yield


def _shared(order: Order, studies: Mapping[str, int], workers: int, ray: str | None, tell: Tell) -> list[dict[str, str]]:
    said: list[dict[str, str]] = []
    step = _AT_A_TIME * workers if workers > 1 or ray else 1
    units, steps = [("study", uid) for uid in studies], _Steps(tell, sum(studies.values()))
    with _hands(order, min(workers, len(studies)), ray) as hands:
        for start in range(0, len(units), step):
            part: list[Unit] = units[start : start + step]
            done = hands.do_all(part, steps.within)
            said += [done[unit] for unit in part]
            steps.past(sum(studies[uid] for _, uid in part))
    return said


class _Steps:
    """Files that are done, for a person who waits. Those of a study that was finished beside others count with these, so the number never falls."""

    def __init__(self, tell: Tell, total: int) -> None:
        self._tell, self._total, self._before, self._shown = tell, total, 0, 0

    def within(self, done: int, _total: int, _what: str) -> None:
        """So many files of the studies in hand."""
        self._shown = max(self._shown, min(self._before + done, self._total))
        self._tell(self._shown, self._total, "files")

    def past(self, files: int) -> None:
        """Studies with so many files are done."""
        self._before += files
        self.within(0, 0, "")


def _hands(order: Order, workers: int, ray: str | None) -> Hands:
    if ray is not None:
        from vesalius.work.cluster import Cluster

        return Cluster(_MAKER, order, workers, ray, device="cpu")
    return Alone(Worker(order)) if workers == 1 else Crew(_MAKER, order, workers)


def _apart(private: Path) -> Iterator[tuple[str, str]]:
    import json

    for path in sorted((private / "studies").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        yield from ((source, why) for source, why in record["apart"])
        for hit in record["hits"]:
            if hit["sure"]:
                where = record["files"].get(hit["found_at"].partition(" ")[0], hit["found_at"])
                yield where, f"a {hit['kind']} that was removed at {hit['removed_at']} was found at {hit['found_at'].partition(' ')[2]} ({hit['variant']})"


def _list(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("source", "reason"), *rows])
