"""Which view a film is: free, as a choice, and yes or no for each view; several views of one study in their order.

In: studies whose views are stated. Out: as many films of each view as of the others, within sex.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from vesalius.instruct import templates
from vesalius.instruct.build import balance, wordings
from vesalius.instruct.build.desk import Desk
from vesalius.instruct.build.study import Study
from vesalius.instruct.record import Instruction

_NAMES = {"PA": "PA", "AP": "AP", "LATERAL": "lateral"}
_CHOICE = "view-choice"


def make(desk: Desk) -> Iterator[Instruction]:
    """See the module."""
    every = list(_films(desk))
    films = {view: [film for film in every if film.views == (view,)] for view in _NAMES}
    films = {view: found for view, found in films.items() if found}
    yield from _several(desk)
    if len(films) < 2:
        desk.leave("one view alone: nothing to tell apart", sum(map(len, films.values())))
        return
    yield from _open(desk, films)
    for view in films:
        yield from _yes_no(desk, view, films)


def _films(desk: Desk) -> Iterator[Study]:
    """Each film as a study of its own."""
    for study in desk.material.studies:
        for number, (image, view) in enumerate(zip(study.images, study.views, strict=True)):
            if view is None:
                desk.leave("the view is not stated")
                continue
            name = study.id if len(study.images) == 1 else f"{study.id}:{number}"
            yield dataclasses.replace(study, id=name, images=(image,), views=(view,))


def _open(desk: Desk, films: dict[str, list[Study]]) -> Iterator[Instruction]:
    free = wordings.plain("view", templates.describe({"view": "PA"})[0][0], "What is the projection of this chest X-ray?")
    choice = wordings.plain(_CHOICE, "Which of these is the view of this film?", "How was this film taken?")
    tuples, spare = balance.matched(films, lambda s: s.id, lambda s: s.sex, salt=desk.salt("view"))
    desk.spare(spare, "view")
    offered = tuple(_NAMES[view] for view in films)
    for each, of_free, of_choice in zip(desk.limit(tuples), desk.deal("view", free), desk.deal(_CHOICE, choice), strict=False):
        for study in each:
            view = str(study.views[0])
            for wording in of_free:
                yield desk.put(study, "view", wording, templates.describe({"view": view})[0][1], f"view {view}")
            for wording in of_choice:
                yield desk.put(study, _CHOICE, wording, _NAMES[view], f"view {view}", choices=offered)


def _yes_no(desk: Desk, view: str, films: dict[str, list[Study]]) -> Iterator[Instruction]:
    equivalence = f"view:{view}"
    pool = wordings.pool(equivalence, [(f"Is this {'an' if view == 'AP' else 'a'} {_NAMES[view]} view?", wordings.PLAIN, 1)], desk.how.families)
    others = [film for other, found in films.items() if other != view for film in found]
    tuples, spare = balance.matched({"yes": films[view], "no": others}, lambda s: s.id, lambda s: s.sex, salt=desk.salt(equivalence), kind=lambda s: s.views)
    desk.spare(spare, equivalence)
    for each, chosen in zip(desk.limit(tuples), desk.deal(equivalence, pool), strict=False):
        for study, answer in zip(each, ("yes", "no"), strict=True):
            for wording in chosen:
                yield desk.put(study, equivalence, wording, answer, f"view {study.views[0]}")


def _several(desk: Desk) -> Iterator[Instruction]:
    pool = wordings.plain("views", "Which views are these films, in order?", "Name the view of each of these films, in the order shown.")
    studies = [study for study in desk.material.studies if len(study.images) > 1 and None not in study.views]
    for study, chosen in zip(desk.limit(studies), desk.deal("views", pool), strict=False):
        for wording in chosen:
            yield desk.put(study, "views", wording, ", ".join(_NAMES[str(view)] for view in study.views), f"views {', '.join(map(str, study.views))}")
