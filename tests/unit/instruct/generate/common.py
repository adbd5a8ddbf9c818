"""What the tests of the generator share: rows, and a writer that says what it is told to."""

import json

from vesalius.instruct.generate.writers import Wrote

BOX = {"label": "liver", "box": [10, 20, 60, 70]}


def row(number=1, **fields):
    return {
        "id": f"case-{number}",
        "source": "pmc-oa",
        "image": f"images/{number}.png",
        "caption": f"Axial CT number {number} with a lesion of the liver.",
        **fields,
    }


def full(number=1, **fields):
    """A row that suits every task."""
    return row(number, prior="Axial CT without a lesion.", prior_image="images/old.png", regions=[BOX], width=100, height=200, **fields)


def write(path, *rows):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


class Scripted:
    """A writer without a model: `reply(request)` gives a text, a `Wrote`, or raises."""

    name, structured, currency, identity = "scripted", "words", "USD", {"model": "scripted"}

    def __init__(self, reply, *, parallel=1, batch=1, prices=(0.0, 0.0)):
        self.reply, self.parallel, self.batch, self.prices, self.requests = reply, parallel, batch, prices, []

    def write(self, requests):
        assert 0 < len(requests) <= self.batch
        self.requests += requests
        return [said if isinstance(said, Wrote) else Wrote(said, 100, 10) for said in map(self.reply, requests)]


GOOD = json.dumps({"question": "What does this scan show?", "answer": "It is an axial CT with a lesion of the liver."})


def facts(request):
    """What the last facts of a request hold."""
    said = [m["content"] for m in request.messages if m["role"] == "user" and m["content"].startswith("Facts:\n")]
    return json.loads(said[-1].removeprefix("Facts:\n"))
