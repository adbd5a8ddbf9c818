"""What a mixture is written as: JSON lines of instructions, or shards of pictures with their instructions.

In: the pool of rows that were taken. Out: `instructions.jsonl`, or `shards/` with a record for each picture (facts `image` and `instructions`: those whose last
picture it is; none for one that is shown only before another) and for each row about no picture. The same rows give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vesalius.data import base, shards
from vesalius.errors import UserError
from vesalius.instruct import record
from vesalius.instruct.mix.pool import Pool
from vesalius.provenance import sha256_file

LINES, SHARDS = "instructions.jsonl", "shards"


def write_lines(pool: Pool, folder: Path) -> dict[str, Any]:
    """One instruction a line, by way of a temporary file; what the card says of it. Raises: RecordError."""
    path = folder / LINES
    rows = record.write((row for _, row in pool.taken()), path)
    return {"file": LINES, "rows": rows, "bytes": path.stat().st_size, "sha256": sha256_file(path)}


def write_shards(pool: Pool, folder: Path, root: Path, size: int, about: dict[str, Any]) -> dict[str, Any]:
    """Shards; a killed call goes on. Raises: ShardError, DataMissing, InvalidValue."""
    index = shards.write(_records(pool, root), folder / SHARDS, shard_size=size, about={"kind": "instructions", **about})
    rows = sum(1 for _ in pool.taken())
    listed = sha256_file(folder / SHARDS / "shards.jsonl")
    return {"file": SHARDS, "rows": rows, "records": index.records, "bytes": index.bytes, "sha256": listed}


def _records(pool: Pool, root: Path) -> Iterator[shards.Record]:
    last, before = set[str](), dict[str, None]()
    for _, row in pool.taken():
        last.update(row.images[-1:])
        before.update(dict.fromkeys(row.images[:-1]))
    for name in pool.pictures():
        yield _picture(name, root, [row.to_json() for _, row in pool.taken(name)])
    for name in before:
        if name not in last:
            yield _picture(name, root, [])
    for _, row in pool.taken(""):
        yield shards.Record(shards.key_of(row.id), {"instructions": [row.to_json()]})


def _picture(name: str, root: Path, rows: list[dict[str, Any]]) -> shards.Record:
    path = base.image_path(root, name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})", remedy="make it readable, and run the same command again") from error
    return shards.Record(shards.key_of(name), {"image": name, "instructions": rows}, content, path.suffix.lower().lstrip("."))
