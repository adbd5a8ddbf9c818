"""Items by hand, so that every figure can be worked out on paper."""

from vesalius.domain.exchange import Answer, Exchange, Question, Split
from vesalius.evaluate.record import Item
from vesalius.metrics.text import read_outcome


def said(text, confidence=None, p_yes=None):
    return Answer(text, read_outcome(text), confidence=confidence, p_yes=p_yes)


def item(number, gold, answer, *, blank="no", swap="no", question="Is there an effusion?", cluster=None, part="official/test", closed=True, **more):
    tags, pair, phrase = more.pop("tags", {}), more.pop("pair", None), more.pop("phrase", "freeform")
    name = f"i{number}" if cluster is None else cluster
    exchange = Exchange(
        f"x{number}", f"{name}.png", Question(question), gold, closed, name, Split(part.rpartition("/")[2]), pair=pair, phrase=phrase, tags=tags
    )
    whole = answer if isinstance(answer, Answer) else said(answer)
    return Item(exchange, (part,), whole, said(blank), said(swap), "other.png", "same modality and body part", **more)
