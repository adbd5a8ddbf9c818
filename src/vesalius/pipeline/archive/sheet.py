"""The readable page of a manifest: one self-contained file.

In: a manifest. Out: HTML.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any


def page(record: Mapping[str, Any]) -> str:
    """The page of one study."""
    reader, plan = record["second_reader"], record["plan"]
    kept = [name.replace("_", " ") for name, on in plan["header"].items() if on is True]
    facts = [
        ("Patient", record["patient"]),
        ("Study", record["study"]),
        ("Header", "Basic Profile" + (", " + ", ".join(kept) if kept else "")),
        ("Pixels", "; ".join(f"{name.replace('_', ' ')}: {said}" for name, said in plan["pixels"].items())),
        ("Text", f"reports: {'cleaned' if plan['text']['reports'] else 'left out'}; names by {plan['text']['finder']}"),
        ("Key", record["key"]),
        ("Software", f"vesalius {record['vesalius']}"),
        ("Signature", f"{record['signature']['value'][:16]}… ({record['signature']['method']})"),
    ]
    parts = {
        "title": f"De-identified study of {record['patient']}",
        "verdict": f"{len(record['files'])} file(s) released; the second reader found nothing that was removed"
        + (f", and {len(reader['doubtful'])} doubtful place(s)" if reader["doubtful"] else "")
        + ".",
        "residual": "".join(f"<li>{_(text)}</li>" for text in record["residual"]) or "<li>Nothing to tell.</li>",
        "facts": _rows(facts),
        "counts": _rows(record["actions"]["counts"].items()),
        "searched": _rows(
            [*((f"{kind}s removed", n) for kind, n in reader["searched_for"].items()), *((f"{what} searched", n) for what, n in reader["searched"].items())]
        ),
        "doubts": _table(("kind", "removed at", "found at", "as"), [(d["kind"], d["removed_at"], d["found_at"], d["variant"]) for d in reader["doubtful"]]),
        "files": _table(("file", "actions", "boxes filled", "why it was read"), [_file(one) for one in record["files"]]),
    }
    text = (resources.files("vesalius.pipeline.archive") / "manifest.html").read_text(encoding="utf-8")
    for name, value in parts.items():
        text = text.replace(f"{{{{{name}}}}}", value if name not in ("title", "verdict") else _(value))
    return text


def _(value: object) -> str:
    return html.escape(str(value))


def _file(one: Mapping[str, Any]) -> tuple[object, ...]:
    why = "; ".join(one.get("triage", [])) or ("" if one["name"].endswith(".txt") else "not read")
    return one["name"], one["actions"], one.get("boxes", ""), why


def _rows(pairs: Iterable[tuple[object, object]]) -> str:
    return "".join(f"<tr><th scope=row>{_(name)}</th><td>{_(value)}</td></tr>" for name, value in pairs)


def _table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    body = "".join("<tr>" + "".join(f"<td>{_(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    if not body:
        return "<p>None.</p>"
    return f"<table><thead><tr>{''.join(f'<th scope=col>{_(head)}</th>' for head in heads)}</tr></thead><tbody>{body}</tbody></table>"
