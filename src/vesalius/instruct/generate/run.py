"""A run: every item with every task through a writer, in order, kept as it comes, resumable at any moment.

In: a file of rows (`sources`), tasks, a writer, a folder. Out: in the folder `items.jsonl` (what can be used), `left_out.jsonl` (everything else, with its
reason and the last reply), `replies.sqlite`, `provenance.json`, `summary.json`. Lines stand in the order of the input whatever the order of replies, so that a
run that was killed and goes on leaves the bytes of one that was not. After a reply that cannot be used one more is asked for, with the reason; then the item is
left out.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vesalius import provenance
from vesalius.errors import InvalidValue
from vesalius.instruct.generate import lines, records, schema, sources, tasks
from vesalius.instruct.generate.judge import REFUSED, Verdict, judge
from vesalius.instruct.generate.lines import OutputError
from vesalius.instruct.generate.sources import Held, Item
from vesalius.instruct.generate.store import Store
from vesalius.instruct.generate.summary import Summary, summarise
from vesalius.instruct.generate.writers import Purse, Request, Writer, Wrote

ITEMS, LEFT_OUT, REPLIES, PROVENANCE, SUMMARY = "items.jsonl", "left_out.jsonl", "replies.sqlite", "provenance.json", "summary.json"
_SHOWN = 2000
Progress = Callable[[int, int, str], None]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How items are written.

    Args:
        tasks: which. seed: of examples and sampling. shots: examples shown. temperature, most_tokens: of a reply.
        budget: money, over all sessions of the folder; None does not limit. limit: rows of the input that are used, from the first; None takes all.
    """

    tasks: tuple[str, ...] = tasks.TASKS
    seed: int = 0
    shots: int = 2
    temperature: float = 0.7
    most_tokens: int = 1000
    budget: float | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if not self.tasks or len(set(self.tasks)) < len(self.tasks):
            raise InvalidValue("name at least one task, and each once", remedy=f"known tasks: {', '.join(tasks.TASKS)}")
        for name in self.tasks:
            tasks.task(name)
        if not 0 <= self.temperature <= 2 or self.most_tokens < 16 or self.shots < 0 or (self.limit is not None and self.limit < 1):
            raise InvalidValue("temperature must lie in 0..2, most_tokens be at least 16, shots at least 0 and limit at least 1")


@dataclasses.dataclass(frozen=True)
class _Job:
    """A row and a task; `held` where nothing is to be asked."""

    id: str
    item: Item | None
    task: str
    held: Mapping[str, Any] | None = None


def run(path: Path, out: Path, writer: Writer, settings: Settings, *, resume: bool = False, progress: Progress | None = None) -> Summary:
    """Write items for every row of a file.

    Args:
        path: rows, see `sources`. out: the folder, made when absent. resume: go on in a folder that holds a run.
        progress: called with rows done, rows in all, and what is being done.

    Returns:
        Counts over the whole folder, earlier sessions included.

    Raises:
        SourceError: the input may not be used; nothing was asked then. OutputError: the folder cannot be written, or holds a run of other settings.
        BudgetSpent, EndpointError: the run stops; what was written stays, and it can go on.
    """
    total = min(sources.count(path), settings.limit or (1 << 62))
    work = _Work(out, writer, settings)
    started = time.monotonic()
    try:
        told = work.begin(path, resume=resume)
        work.go(itertools.islice(sources.read(path), settings.limit), total, progress or _silent)
        lines.write_text(out / PROVENANCE, _dump(told.finished(started).to_json()))
    finally:
        found = work.close(time.monotonic() - started)
    return found


class _Work:
    def __init__(self, out: Path, writer: Writer, settings: Settings) -> None:
        self.out, self.writer, self.settings = out, writer, settings
        self.prompts = {name: tasks.task(name) for name in settings.tasks}
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise lines.unwritable(out, error) from error
        self.store = Store(out / REPLIES)
        self.asked, self._lock = 0, threading.Lock()
        self.purse = Purse(writer.prices, writer.currency, settings.budget, spent=self.store.totals()[1:])

    def begin(self, path: Path, *, resume: bool) -> provenance.Provenance:
        """Check the folder against what is asked for, and mend what a kill left torn."""
        config = {
            "writer": {"name": self.writer.name, **self.writer.identity},
            "prompts": {name: prompt.sha256 for name, prompt in self.prompts.items()},
            "settings": {k: v for k, v in dataclasses.asdict(self.settings).items() if k not in ("budget", "limit")},
        }
        told = provenance.record(seed=self.settings.seed, data_hash=provenance.sha256_file(path), config=config)
        place = self.out / PROVENANCE
        if place.exists():
            if not resume:
                raise OutputError(f"{self.out} holds a run already", remedy="add --resume to go on with it, or give --out a new folder")
            try:
                before = json.loads(place.read_text(encoding="utf-8"))
                same = before["data_hash"] == told.data_hash and before["config"] == told.config
            except (ValueError, KeyError, TypeError) as error:
                raise OutputError(f"{place}: is damaged", remedy="give --out a new folder") from error
            if not same:
                raise OutputError(f"{self.out} holds a run of another input, model, prompt or setting", remedy="give --out a new folder")
        else:
            lines.write_text(place, _dump(told.to_json()))
        for name in (ITEMS, LEFT_OUT):
            lines.mend(self.out / name)
        return told

    def go(self, rows: Iterable[Item | Held], total: int, progress: Progress) -> None:
        """All rows: replies come from several threads, lines are written by this one, in order."""
        done = {row["id"] for name in (ITEMS, LEFT_OUT) for row in lines.rows(self.out / name)}
        hands: deque[tuple[Future[list[tuple[str, dict[str, Any]]]], int]] = deque()
        begun = _Begun()
        pool = ThreadPoolExecutor(self.writer.parallel, thread_name_prefix="writer")

        def finish() -> None:
            made, number = hands.popleft()
            for name, row in made.result():
                lines.append(self.out / name, row)
            progress(number, total, "writing items")

        progress(0, total, "writing items")
        try:
            for hand in _hands(begun.jobs(rows, self._jobs), done, self.writer.batch):
                hands.append((pool.submit(self._made, hand), begun.rows))
                if len(hands) >= 2 * self.writer.parallel:
                    finish()
            while hands:
                finish()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def close(self, seconds: float) -> Summary:
        """Count, write the counts down, let go of the files."""
        requests, given, made = self.store.totals()
        self.store.close()
        files = (self.out / ITEMS, self.out / LEFT_OUT)
        found = summarise(*files, requests=requests, tokens=(given, made), cost=self.purse.cost(given, made), currency=self.writer.currency)
        found = dataclasses.replace(found, asked_now=self.asked, seconds_now=round(seconds, 3))
        lines.write_text(self.out / SUMMARY, _dump(dataclasses.asdict(found)))
        return found

    def _jobs(self, row: Item | Held) -> Iterator[_Job]:
        if isinstance(row, Held):
            name = f"line {row.line}" + (f" {row.id}" if row.id else "")
            yield _Job(name, None, "", {"id": name, "kind": "row", "why": row.reason})
            return
        for name, prompt in self.prompts.items():
            lacks = prompt.missing(row)
            job = f"{row.id}:{name}"
            yield _Job(job, row, name, None if lacks is None else {"id": job, "task": name, "kind": "not applicable", "why": lacks})

    def _made(self, jobs: Sequence[_Job]) -> list[tuple[str, dict[str, Any]]]:
        """Rows for the files, in the order of the jobs; called in a thread."""
        asked = [job for job in jobs if job.held is None]
        first = {job.id: self._request(job) for job in asked}
        replies = dict(zip(first, self._say(list(first.values())), strict=True))
        verdicts = {job.id: self._judged(job, replies[job.id]) for job in asked}
        spent = {name: [wrote] for name, wrote in replies.items()}
        again = [job for job in asked if verdicts[job.id].value is None and verdicts[job.id].kind != REFUSED]
        second = [self._again(first[job.id], replies[job.id], verdicts[job.id]) for job in again]
        reasons = {job.id: verdicts[job.id] for job in again}
        for job, wrote in zip(again, self._say(second), strict=True):
            spent[job.id].append(wrote)
            verdicts[job.id] = self._judged(job, wrote)
        return [(LEFT_OUT, dict(job.held)) if job.held is not None else self._row(job, verdicts[job.id], reasons.get(job.id), spent[job.id]) for job in jobs]

    def _judged(self, job: _Job, wrote: Wrote) -> Verdict:
        assert job.item is not None
        return judge(self.prompts[job.task], job.item, wrote)

    def _request(self, job: _Job) -> Request:
        assert job.item is not None
        prompt, how = self.prompts[job.task], self.settings
        said = prompt.messages(job.item, seed=how.seed, shots=how.shots)
        seed = tasks.sampling_seed(how.seed, job.item.id, job.task)
        return Request(tuple(said), schema.json_schema(prompt.prompt.fields), how.temperature, how.most_tokens, seed)

    @staticmethod
    def _again(request: Request, wrote: Wrote, verdict: Verdict) -> Request:
        return dataclasses.replace(request, messages=(*request.messages, *tasks.retry(wrote.text, verdict.why)))

    def _say(self, requests: Sequence[Request]) -> list[Wrote]:
        """Kept replies, and new ones for the rest, which are kept before anything else is done with them."""
        keys = [request.key(self.writer.name, self.writer.structured) for request in requests]
        found = {key: kept for key in keys if (kept := self.store.get(key)) is not None}
        asked = {key: request for key, request in zip(keys, requests, strict=True) if key not in found}
        if asked:
            held, wrote = self.purse.hold(list(asked.values())), list[Wrote]()
            try:
                wrote = self.writer.write(list(asked.values()))
                for key, reply in zip(asked, wrote, strict=True):
                    self.store.put(key, reply)
                    found[key] = reply
            finally:
                self.purse.settle(held, wrote)
        with self._lock:
            self.asked += len(asked)
        return [found[key] for key in keys]

    def _row(self, job: _Job, verdict: Verdict, reason: Verdict | None, spent: Sequence[Wrote]) -> tuple[str, dict[str, Any]]:
        assert job.item is not None
        prompt, how = self.prompts[job.task], self.settings
        given, made = sum(w.input_tokens for w in spent), sum(w.output_tokens for w in spent)
        meta = {
            "model": self.writer.name,
            "prompt": {"version": prompt.prompt.version, "sha256": prompt.sha256},
            "examples": [example.name for example in prompt.drawn(job.item, seed=how.seed, shots=how.shots)],
            "seed": how.seed,
            "temperature": how.temperature,
            "repairs": list(verdict.repairs),
            "asked_again": None if reason is None else {"kind": reason.kind, "why": reason.why},
            "tokens": {"input": given, "output": made},
            "cost": round(self.purse.cost(given, made), 9),
            "caption_sha256": job.item.sha256(),
        }
        if verdict.value is not None:
            return ITEMS, records.record(job.item, job.task, verdict.value, meta)
        reply = spent[-1].text[:_SHOWN]
        return LEFT_OUT, {"id": job.id, "task": job.task, "kind": verdict.kind, "why": verdict.why, "reply": reply, "meta": meta}


class _Begun:
    """Counts the rows that jobs were made of."""

    def __init__(self) -> None:
        self.rows = 0

    def jobs(self, rows: Iterable[Item | Held], jobs: Callable[[Item | Held], Iterator[_Job]]) -> Iterator[_Job]:
        for row in rows:
            self.rows += 1
            yield from jobs(row)


def _hands(jobs: Iterable[_Job], done: set[str], size: int) -> Iterator[list[_Job]]:
    """Jobs that are not done, so many with a request together."""
    hand: list[_Job] = []
    for job in jobs:
        if job.id in done:
            continue
        hand.append(job)
        if sum(one.held is None for one in hand) >= size or len(hand) >= 64:
            yield hand
            hand = []
    if hand:
        yield hand


def _dump(value: Any) -> str:  # noqa: ANN401
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _silent(done: int, total: int, what: str) -> None:
    """Nobody asked to be told."""
