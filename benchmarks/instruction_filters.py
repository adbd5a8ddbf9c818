"""How well the filters of instruction data find planted defects, and how often they drop sound items.

    python benchmarks/instruction_filters.py --data ROOT [--part held] [--misses]

A stand-in writes items from captions that are stated facts (NIH ChestX-ray14 labels, SLAKE annotations): sound ones, and ones with exactly one planted defect.
Part "shaped" was looked at while the rules were written; part "held" was worded when they were finished, and scored once before anything was mended.
Prints a row for each filter: planted defects that it found, sound items that it dropped; Wilson intervals over wordings.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
from collections import defaultdict
from pathlib import Path

from vesalius.data.base import data_root
from vesalius.instruct.filters import items
from vesalius.instruct.filters.run import Judge
from vesalius.instruct.filters.table import FILTERS
from vesalius.instruct.generate import facts
from vesalius.metrics.statistics import wilson

ABSENT = {"pneumothorax": 0, "cardiomegaly": 0, "pleural thickening": 0, "emphysema": 0, "hernia": 0}
ORGANS = ("pancreas", "gallbladder", "aorta", "uterus", "prostate", "thyroid")

# (question, answer); a slot that a row cannot fill leaves the template out for that row
SOUND = {
    "shaped": [
        ("What abnormalities are seen in this image?", "The image shows {fs}."),
        ("Describe this picture.", "This is a {view} radiograph of the chest. It demonstrates {fs}."),
        ("Is there {f} in this film?", "Yes, {f} is present."),
        ("Is there a {nn}?", "No."),
        ("Does this film look normal?", "Yes, no abnormality is seen.{normal}"),
        ("Which projection was used?", "It is a {view} projection."),
        ("What kind of scan is this?", "This is {mod} of the {part}."),
        ("Which part of the body is imaged?", "The {part}."),
        ("Which organs can be seen?", "The image shows {os}."),
        ("Is the {o} visible?", "Yes, the {o} can be seen."),
        ("Which {pair} is visible in this scan?", "The {so}."),
    ],
    "held": [
        ("What does one notice on this X-ray?", "One notices {fs}."),
        ("How would you sum up this film?", "Chest film, {view} view, with {fs}."),
        ("Would you call this chest film free of disease?", "Yes, the film is unremarkable.{normal}"),
        ("Can you make out {f}?", "Yes, there are signs of {f}."),
        ("Any evidence of {nn}?", "No, there is no evidence of {nn}."),
        ("From which direction did the beam pass?", "The direction is {view}."),
        ("With what technique was this picture obtained?", "With {mod}."),
        ("What region of the body do we see?", "We see the {part}."),
        ("Name the structures in this picture.", "Among the structures are {os}."),
        ("Tell me whether the {o} lies in this slice.", "The {o} lies in this slice."),
        ("On which side is the {pair} that can be seen?", "It is the {so}."),
    ],
}
PLANTED = {
    "shaped": {
        "format": [
            ("What is seen?", "I'm sorry, but I cannot view images."),
            ("What is seen?", ""),
            ("What is seen here?", "As an AI language model, I am unable to diagnose."),
            ("What is seen?", '{{"answer": "the {part}"}}'),
            ("What is seen?", "The {part} is the {part} is the {part} is the {part} is the {part} is the {part} is the {part} is "
            "the {part} is the {part} is the {part}."),
            ("Describe the [insert finding] in this image.", "It is in the {part}."),
        ],
        "language": [
            ("Was ist auf diesem Bild zu sehen?", "Das Bild zeigt eine Aufnahme der Lunge und es ist nicht normal."),
            ("Que montre cette image du patient?", "Cette image montre une radiographie du thorax avec des anomalies."),
            ("¿Qué se ve en la imagen?", "La imagen muestra los pulmones y no hay una lesión en el lado izquierdo."),
            ("这张图片显示了什么?", "这张图片显示了胸部。"),
        ],
        "length": [("Hm?", "The {part}."), ("What is shown in this image?", "{long}")],
        "leak": [
            ("What does the caption say about the {part}?", "It is imaged by {mod}."),
            ("According to the report, what is seen?", "The {part}."),
            ("What is seen in this image?", "As mentioned in the text, the {part} is shown."),
            ("{caption}? What is that?", "It is {mod}."),
            ("In this {part} picture, what part of the body is the {part}?", "The {part}."),
        ],
        "unseen": [
            ("What is the name of the patient in this image?", "It is not known."),
            ("When was this image taken?", "It was taken on a weekday."),
            ("In which hospital was the scan made?", "In a university hospital."),
            ("How old is the patient?", "The patient is an adult."),
            ("What medications does the patient take?", "None are known."),
            ("What is the most common cause of pneumonia?", "Bacteria."),
            ("What is a CT scan used for?", "To look inside of the body."),
        ],
        "contradiction": [
            ("Is there {f} in this film?", "No, there is no {f}."),
            ("Is {f} present?", "No."),
            ("Is this film normal?", "Yes, there is no abnormality.{ill}"),
            ("Is the film normal?", "No, it shows a large effusion.{normal}"),
            ("Which modality is this?", "It is {omod}."),
            ("Which part of the body is shown?", "It shows the {opart}."),
            ("Which view is it?", "It is a {oview} view."),
        ],
        "invented": [
            ("How large is it?", "It measures 3.4 cm in the {part}."),
            ("How has it changed in this image?", "The {part} is unchanged since the prior study."),
            ("Which {pair} is visible?", "The {wso}."),
            ("Where is the {f}?", "The {f} is in the left lower lobe."),
            ("What does the picture show?", "A 65-year-old man with an image of the {part}."),
            ("What is seen in this picture?", "The {part} of a patient who presented with fever."),
            ("How many lesions are visible?", "There are three lesions in the {part}."),
        ],
        "unsupported": [
            ("What is seen?", "There is a {nf}."),
            ("What does the film show?", "It shows {f} and a {nf}."),
            ("Which organs can be seen?", "The {no} can be seen."),
            ("Is there a {nf}?", "No, there is no {nf}."),
            ("What is striking in the picture?", "The contour looks blurred, jagged, serrated and notched near its outer rim."),
        ],
        "unsafe": [
            ("What should be done about this picture?", "The {part} is fine, there is no need to see a doctor."),
            ("What is to be done?", "Take ibuprofen 400 mg twice daily."),
            ("What is next for this patient?", "The patient should undergo surgery immediately."),
            ("Is it serious?", "This is definitely cancer."),
            ("Does this rule anything out?", "This film rules out disease."),
            ("What now?", "Start antibiotics for the {f}."),
        ],
    },
    "held": {
        "format": [
            ("What is seen?", "Sorry, I am just a chatbot and have no eyes."),
            ("What can you tell from this?", "..."),
            ("What is in the picture?", "Unfortunately, there was no attachment in your message."),
            ("What is in the picture?", "<b>Answer</b>: {{{{part}}}}"),
            ("What is shown?", "It shows the part, part, part, part, part, part, part, part, part, part, part, part, part, part, "
            "part, part, part, part, part, part, part, part, part, part."),
            ("Assistant: what is shown?", "The {part}."),
        ],
        "language": [
            ("Welche Organe erkennt man hier?", "Man erkennt hier beide Nieren, die Leber sowie den Magen."),
            ("Quali organi si vedono nell'immagine?", "Si vedono il fegato, la milza e i reni del paziente."),
            ("Welk orgaan is te zien op deze foto?", "Op deze foto is de lever te zien met een normale vorm."),
            ("Что видно на снимке?", "На снимке видна грудная клетка."),
        ],
        "length": [("Yes?", "The {part}."), ("What can be told from this picture of the {part}?", "{long}")],
        "leak": [
            ("What did the author write under this picture?", "That it is {mod}."),
            ("Going by the words supplied, what is displayed?", "The {part}."),
            ("What can be seen here?", "The accompanying note speaks of the {part}."),
            ("The picture is described thus: {caption} Do you agree with its modality?", "Yes, it is {mod}."),
            ("Seeing this {part}, which body part is it?", "{part}"),
        ],
        "unseen": [
            ("Who is shown in this film?", "A patient of the clinic."),
            ("On what day did the examination take place?", "On a Monday."),
            ("Which technician operated the machine?", "That is not recorded."),
            ("Has the patient ever smoked?", "Yes, for some years."),
            ("How heavy is this person?", "Of average weight."),
            ("Which germs lead to pneumonia most frequently?", "Bacteria and viruses do."),
            ("Who invented the X-ray?", "Wilhelm Roentgen did."),
        ],
        "contradiction": [
            ("Do you find {f}?", "{f} is absent."),
            ("Can {f} be recognised?", "There is nothing to suggest {f}."),
            ("What do you make of this film?", "A healthy chest.{ill}"),
            ("What do you make of this film?", "There is consolidation on it.{normal}"),
            ("How was the picture made?", "By means of {omod}."),
            ("What are we looking at?", "We are looking at a picture of the {opart}."),
            ("How did the beam travel?", "{oview}."),
        ],
        "invented": [
            ("What is its extent?", "About 27 millimetres across the {part}."),
            ("Is there progress in the {part}?", "It looks better than last month."),
            ("Which {pair} do we see?", "One sees the {wso}."),
            ("Where does the {f} lie?", "{f}, on the patient's right."),
            ("Who is pictured here?", "A young woman's {part}."),
            ("Why was this picture of the {part} made?", "Because of a persistent cough."),
            ("How many spots are on the {part}?", "Five of them."),
        ],
        "unsupported": [
            ("What is wrong here?", "{nf} is what is wrong."),
            ("Anything besides {f}?", "Besides {f} one sees {nf}."),
            ("What else is in the slice?", "A part of the {no}."),
            ("Do you find {nf}?", "{nf} is not found."),
            ("What is conspicuous?", "A crescent-shaped, speckled shadow hugging the outer edge with a feathery outline."),
        ],
        "unsafe": [
            ("Is this dangerous?", "Nobody has to look at the {part} again, it is harmless for sure."),
            ("What helps?", "Two paracetamol in the morning and two at night."),
            ("What should the surgeon do?", "Cut it out as soon as possible."),
            ("Is the diagnosis firm?", "There can be no other explanation than cancer."),
            ("Should I go to the hospital?", "You can stay at home."),
            ("How is {f} handled?", "Put the person on penicillin."),
        ],
    },
}  # fmt: skip


def read_row(row):
    """The slots that a row of facts can fill."""
    caption = row["caption"]
    slots = {"caption": caption.rstrip("."), "long": " ".join(["word and other words about it"] * 90)}
    mod, part = re.match(r"An? (.+?) of the (\w+)", caption).groups()
    slots |= {"mod": {"X-ray": "an X-ray", "CT": "a CT", "MRI": "an MRI"}[mod], "part": part, "omod": {"X-ray": "an MRI", "CT": "an X-ray", "MRI": "a CT"}[mod]}
    slots["opart"] = {"chest": "pelvis", "abdomen": "head", "head": "abdomen", "neck": "abdomen", "pelvis": "head"}[part]
    if "The view is" in caption:
        view = caption.rstrip(".").rpartition(" ")[2]
        slots |= {"view": view, "oview": "AP" if view == "PA" else "PA"}
    if "without abnormality" in caption:
        return slots | {"normal": "", "nn": "pneumothorax"}
    if found := re.search(r"showing (.+?)\.", caption):
        names = re.split(r", | and ", found[1])
        return slots | {"f": names[0], "fs": " and ".join(names), "ill": "", "nf": next(n for n in ABSENT if n not in found[1])}
    if found := re.search(r"It shows (.+?)\.$", caption):
        names = [n.removeprefix("the ") for n in re.split(r", | and ", found[1])]
        slots |= {"os": " and ".join("the " + n for n in names[:3]), "o": names[0], "no": next(n for n in ORGANS if n not in found[1])}
        if one := next((n for n in names if n.startswith(("left ", "right "))), None):
            side, _, noun = one.partition(" ")
            other = {"left": "right", "right": "left"}[side]
            if f"{other} {noun}" not in names:
                slots |= {"pair": noun, "so": one, "wso": f"{other} {noun}"}
    return slots


def fill(template, slots):
    names = re.findall(r"(?<!\{)\{(\w+)\}(?!\})", "".join(template))
    return None if any(name not in slots for name in names) else tuple(text.format(**slots) for text in template)


def make(rows, part, each, seed):
    """(expected filter or "", template, record line) for every item: `each` rows for each template, each image used once for a sound template."""
    made = []
    chance = random.Random(seed)
    for kind, templates in [("", SOUND[part]), *PLANTED[part].items()]:
        for template in templates:
            fitting = [(row, pair) for row in rows if (pair := fill(template, read_row(row))) is not None]
            for row, pair in chance.sample(fitting, min(each * (2 if kind == "" else 1), len(fitting))):
                number = len(made)
                made.append(
                    (
                        kind,
                        template,
                        {
                            "id": f"{number}",
                            "image": f"{row['image']}#{number}",
                            "task": "conversation",
                            "caption": row["caption"],
                            "turns": [dict(zip(("question", "answer"), pair, strict=True))],
                        },
                    )
                )
    sound = [entry for entry in made if entry[0] == ""]
    for _, template, line in chance.sample(sound, 4 * each):  # the same again, and in other words
        turn = line["turns"][0]
        again = {**turn} if len(made) % 2 else {**turn, "question": turn["question"].replace("image", "picture").replace("seen", "visible").replace("?", " ?")}
        made.append(("duplicate", template, {**line, "id": f"{line['id']}-again", "turns": [again]}))
    return made


def score(made):
    hits = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        judge = Judge(Path(folder))
        for kind, template, line in made:
            found, _ = judge(items.read(1, json.dumps(line).encode()))
            hits[kind].append((template, line, found))
    return hits


def share(k, n):
    low, high = wilson(k, n).low, wilson(k, n).high
    return f"{k} of {n}, {100 * k / n:.0f} % ({100 * low:.0f} to {100 * high:.0f})" if n else "-"


def whole(entries):
    """Wordings of which every item was dropped, and wordings."""
    by = defaultdict(list)
    for template, _, found in entries:
        by[template].append(bool(found))
    return sum(all(found) for found in by.values()), len(by)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--part", choices=tuple(SOUND), default="held")
    parser.add_argument("--each", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--misses", action="store_true")
    how = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name in facts.SETS:
            facts.write(name, data_root(how.data), Path(folder) / name, limit=150)
            rows += [json.loads(line) for line in (Path(folder) / name).read_text().splitlines()]
    hits = score(make(rows, how.part, how.each, how.seed))
    sound = hits[""]
    print(f"part {how.part}, seed {how.seed}: {sum(map(len, hits.values()))} items, {len(sound)} of them sound")
    print("of wordings only those count of which every item was dropped (or, if sound, kept); intervals are of wordings, for items of one wording are alike")
    print(f"{'filter':14}{'items found by it':20}{'items dropped':16}{'wordings dropped whole':32}{'sound items it dropped'}")
    for one in FILTERS:
        mine = hits[one.name]
        by_it, by_any = sum(any(o.filter == one.name for o in f) for *_, f in mine), sum(bool(f) for *_, f in mine)
        wrong = sum(any(o.filter == one.name for o in f) for *_, f in sound)
        print(f"{one.name:14}{f'{by_it} of {len(mine)}':20}{f'{by_any} of {len(mine)}':16}{share(*whole(mine)):32}{wrong} of {len(sound)}")
    planted = [entry for kind, entries in hits.items() if kind for entry in entries]
    dropped, lost = sum(bool(f) for *_, f in planted), sum(bool(f) for *_, f in sound)
    worded = share(*whole([entry for kind, entries in hits.items() if kind not in ("", "duplicate") for entry in entries]))
    print(f"{'all':14}{'':20}{f'{dropped} of {len(planted)}':16}{worded:32}{lost} of {len(sound)}")
    good, wordings = whole([(template, line, [] if found else [1]) for template, line, found in sound])
    print(f"sound wordings kept whole: {share(good, wordings)}")
    if how.misses:
        for kind, entries in hits.items():
            for _, line, found in entries:
                if bool(found) != bool(kind):
                    print(kind or "sound", "|", line["caption"], "|", line["turns"][0], "|", "; ".join(map(str, found)))


if __name__ == "__main__":
    main()
