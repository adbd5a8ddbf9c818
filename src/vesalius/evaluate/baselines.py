"""Baselines that anything called a vision-language model must beat: majority, question only, and a kernel SVM on frozen image features.

In: exchanges to fit on, exchanges to answer, and for the kernel one mean-pooled feature vector an image. Out: `Answer`s, scored like any model's.
Answers are classes: an unseen answer cannot be given. scikit-learn is imported when a baseline that needs it is fitted.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.exchange import Answer, Exchange
from vesalius.errors import InvalidValue
from vesalius.metrics.text import is_yes_no_question, normalise, read_outcome
from vesalius.registry import Table, missing_extra

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Features = Mapping[str, NDArray[np.float32]]

TABLE = Table(
    "baseline",
    {
        "majority": "vesalius.evaluate.baselines:Majority",
        "question-only": "vesalius.evaluate.baselines:QuestionOnly",
        "kernel-svm": "vesalius.evaluate.baselines:KernelSVM",
    },
)
_FORMS = re.compile(r"\b(what|where|which|how many|how|who|why|when|describe|name)\b")


class Baseline(Protocol):
    """Something that was fitted on exchanges and answers others."""

    name: str
    sees_image: bool

    def predict(self, exchanges: Sequence[Exchange], features: Features | None = None) -> list[Answer]:
        """One answer for each exchange, in order; golds are not read.

        Raises:
            InvalidValue: the baseline looks at images and a feature vector is absent.
        """
        ...


def fit(name: str, train: Sequence[Exchange], features: Features | None = None) -> Baseline:
    """Fit a baseline by name.

    Args:
        name: "majority", "question-only" or "kernel-svm".
        train: what it may learn from.
        features: image path relative to the data root -> (D,) float32; for the kernel: EfficientNet-Lite0, 288 px, mean over cells, D = 1,280.

    Raises:
        UnknownName: no such baseline. InvalidValue: nothing to fit on, or features are absent. MissingExtra: scikit-learn is not installed.
    """
    kind = TABLE.load(name)
    if not train:
        raise InvalidValue(f"the baseline {name!r} cannot be fitted on no exchanges", remedy="give the train part of a data set")
    fitted: Baseline = kind.fit(train, features)
    return fitted


def question_form(text: str) -> str:
    """The form of a question, from its words alone: "yes/no", "choice", or its interrogative ("where", "how many", ...), else "other"."""
    if is_yes_no_question(text):
        return "yes/no"
    plain = normalise(text)
    found = _FORMS.search(plain)
    if found:
        return found.group()
    return "choice" if re.search(r"\b(or|versus|vs)\b", plain) else "other"


@dataclasses.dataclass(frozen=True)
class Majority:
    """The most frequent training answer for each form of question; forms never seen get the most frequent answer of all.

    `answers` holds (text, share of the form's training rows) by form, and under "" for all rows.
    """

    answers: Mapping[str, tuple[str, float]]
    name: str = "majority"
    sees_image: bool = False

    @classmethod
    def fit(cls, train: Sequence[Exchange], features: Features | None = None) -> Majority:  # noqa: ARG003 - one signature for all
        """Count answers by form; ties go to the answer that comes first in the alphabet."""
        spelling = _spellings(train)
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for exchange in train:
            for form in (question_form(exchange.question.text), ""):
                counts[form][normalise(exchange.gold)] += 1
        chosen = {form: min(count.items(), key=lambda item: (-item[1], item[0])) for form, count in counts.items()}
        return cls({form: (spelling[answer], n / counts[form].total()) for form, (answer, n) in chosen.items()})

    def predict(self, exchanges: Sequence[Exchange], features: Features | None = None) -> list[Answer]:  # noqa: ARG002
        """The majority answer of each question's form."""
        rows = (self.answers.get(question_form(exchange.question.text), self.answers[""]) for exchange in exchanges)
        return [Answer(text, read_outcome(text), confidence=share) for text, share in rows]


@dataclasses.dataclass(frozen=True, eq=False)
class QuestionOnly:
    """TF-IDF of word 1- and 2-grams and a multinomial logistic regression (C = 10): what can be had without looking at the image."""

    vectoriser: Any
    model: Any
    spelling: Mapping[str, str]
    name: str = "question-only"
    sees_image: bool = False

    @classmethod
    def fit(cls, train: Sequence[Exchange], features: Features | None = None) -> QuestionOnly:  # noqa: ARG003 - one signature for all
        """Fit on questions and normalised answers; one class only is answered as a constant."""
        try:
            from sklearn.linear_model import LogisticRegression
        except ModuleNotFoundError as error:
            raise missing_extra("sklearn", "the question-only baseline") from error
        vectoriser = _vectoriser(2)
        X = vectoriser.fit_transform([exchange.question.text for exchange in train])
        spelling = _spellings(train)
        model = LogisticRegression(C=10.0, max_iter=1000).fit(X, _classes(train)) if len(spelling) > 1 else None
        return cls(vectoriser, model, spelling)

    def predict(self, exchanges: Sequence[Exchange], features: Features | None = None) -> list[Answer]:  # noqa: ARG002
        """The likeliest class with its probability; `p_yes` for questions whose form asks for yes or no."""
        if not exchanges:
            return []
        texts = [exchange.question.text for exchange in exchanges]
        if self.model is None:
            only = next(iter(self.spelling.values()))
            return [Answer(only, read_outcome(only), confidence=1.0) for _ in texts]
        probability = self.model.predict_proba(self.vectoriser.transform(texts))
        place = {label: i for i, label in enumerate(self.model.classes_)}
        answers = []
        for text, row in zip(texts, probability, strict=True):
            said = self.spelling[self.model.classes_[row.argmax()]]
            answers.append(Answer(said, read_outcome(said), confidence=float(min(row.max(), 1.0)), p_yes=_p_yes(text, row, place)))
        return answers


@dataclasses.dataclass(frozen=True, eq=False)
class KernelSVM:
    """A support vector machine (C = 10, one against one) on K = K_text * (0.3 + K_image).

    K_text is the product of TF-IDF vectors of word 1- to 3-grams (unit length). K_image = exp(-gamma * d), gamma = 0.5, where d is the mean over the D
    feature dimensions of the squared difference after each was standardised on the training rows. The constant 0.3 lets a question be answered like its
    neighbours in words when no training image is near. No probabilities: the vote margins of one against one are none.
    """

    C = 10.0
    GAMMA = 0.5
    TEXT_ALONE = 0.3

    vectoriser: Any
    model: Any
    spelling: Mapping[str, str]
    texts: csr_matrix
    images: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    name: str = "kernel-svm"
    sees_image: bool = True

    @classmethod
    def fit(cls, train: Sequence[Exchange], features: Features | None = None) -> KernelSVM:
        """Build the (n, n) kernel of the training rows and fit; memory 8 n^2 bytes, for VQA-RAD and SLAKE some seconds."""
        try:
            from sklearn.svm import SVC
        except ModuleNotFoundError as error:
            raise missing_extra("sklearn", "the kernel baseline") from error
        raw = _stack(train, features)
        mean, scale = raw.mean(0), np.maximum(raw.std(0), 1e-6)
        images = (raw - mean) / scale / np.sqrt(raw.shape[1])
        vectoriser = _vectoriser(3)
        texts = vectoriser.fit_transform([exchange.question.text for exchange in train])
        spelling = _spellings(train)
        kernel = cls._kernel(texts, texts, images, images)
        model = SVC(kernel="precomputed", C=cls.C).fit(kernel, _classes(train)) if len(spelling) > 1 else None
        return cls(vectoriser, model, spelling, texts, images, mean, scale)

    @classmethod
    def _kernel(cls, left: csr_matrix, right: csr_matrix, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        squared = np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0.0)
        product: NDArray[np.float64] = (left @ right.T).toarray() * (cls.TEXT_ALONE + np.exp(-cls.GAMMA * squared))
        return product

    def predict(self, exchanges: Sequence[Exchange], features: Features | None = None) -> list[Answer]:
        """The class with most votes."""
        if not exchanges:
            return []
        raw = _stack(exchanges, features)
        if raw.shape[1] != self.mean.shape[0]:
            raise InvalidValue(f"image features have {raw.shape[1]} numbers, the baseline was fitted on {self.mean.shape[0]}", remedy="use one tower for both")
        images = (raw - self.mean) / self.scale / np.sqrt(raw.shape[1])
        texts = self.vectoriser.transform([exchange.question.text for exchange in exchanges])
        if self.model is None:
            labels = [next(iter(self.spelling))] * len(exchanges)
        else:
            labels = self.model.predict(self._kernel(texts, self.texts, images, self.images))
        return [Answer(self.spelling[label], read_outcome(self.spelling[label])) for label in labels]


def _vectoriser(longest: int) -> Any:  # noqa: ANN401 - scikit-learn has no types
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ModuleNotFoundError as error:
        raise missing_extra("sklearn", "a text baseline") from error
    # words of one letter and punctuation count for nothing, as scikit-learn has it; a question of none of the known words becomes zero
    return TfidfVectorizer(ngram_range=(1, longest))


def _classes(train: Sequence[Exchange]) -> list[str]:
    return [normalise(exchange.gold) for exchange in train]


def _spellings(train: Sequence[Exchange]) -> Mapping[str, str]:
    """Normalised answer -> its most frequent spelling, ties by alphabet."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for exchange in train:
        counts[normalise(exchange.gold)][exchange.gold] += 1
    return MappingProxyType({label: min(count.items(), key=lambda item: (-item[1], item[0]))[0] for label, count in sorted(counts.items())})


def _p_yes(question: str, row: NDArray[np.float64], place: Mapping[str, int]) -> float | None:
    if not is_yes_no_question(question) or not {"yes", "no"} <= place.keys():
        return None
    yes, no = float(row[place["yes"]]), float(row[place["no"]])
    return yes / (yes + no) if yes + no > 0 else None


def _stack(exchanges: Sequence[Exchange], features: Features | None) -> NDArray[np.float64]:
    """Features of the exchanges' images, (n, D) float64."""
    if features is None:
        raise InvalidValue("the kernel baseline looks at images and got no features", remedy="give one feature vector for each image")
    images = dict.fromkeys(exchange.image for exchange in exchanges)
    absent = [image for image in images if image not in features]
    if absent:
        raise InvalidValue(f"{len(absent)} image(s) have no feature vector, the first {absent[0]!r}", remedy="compute the features of all images first")
    # each vector is fetched once: an open .npz reads and decompresses on every access
    vectors = {image: np.asarray(features[image], dtype=np.float64) for image in images}
    shapes = {vector.shape for vector in vectors.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise InvalidValue(f"feature vectors must all have one shape (D,) (got {sorted(shapes)})", remedy="pool each image's features to one vector")
    if not all(np.isfinite(vector).all() for vector in vectors.values()):
        raise InvalidValue("feature vectors must be finite", remedy="look for broken images or a broken tower")
    return np.stack([vectors[exchange.image] for exchange in exchanges])
