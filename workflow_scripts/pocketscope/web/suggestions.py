"""What the page suggests: guesses, what to label next, images like another, and whether more labels would help.

Exam images are left out of all of it: they are labelled blind, and nothing learns from them.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketscope.core.errors import InputError
from pocketscope.web.index import Index
from pocketscope.web.labels import Labels

if TYPE_CHECKING:  # scikit-learn and Arrow take seconds to import: the page comes first
    from pocketscope.suggest import head

log = logging.getLogger(__name__)

CAREFUL = 48  # images of the order that are chosen with care
REST = 0.3  # seconds without a label, after which the head is fitted anew
MORE = (10, 25, 50)  # labels per category that are forecast


class Suggestions:
    """Suggestions for one project, computed in the background.

    Attributes
    ----------
    version
        Grows with every new set of suggestions.
    preparing
        Whether files came, or may have come, that the suggestions do not reflect yet.
    """

    def __init__(self, index: Index, labels: Labels, told: Callable[[int], None]) -> None:
        self.index, self.labels, self._told = index, labels, told
        self.version = 0
        self.preparing = self._expected = False
        self.features: head.Features | None = None
        self._answers: dict[str, tuple[str, float]] | None = None  # of the shipped model: path to class and probability
        self._now: dict[str, Any] = {"guess": [], "order": [], "suspicious": [], "by": None}
        self._curve: tuple[int, dict[str, Any] | None] = (-1, None)
        self._due = threading.Event()
        self._stop = threading.Event()
        self._computing = threading.Lock()
        self._thread = threading.Thread(target=self._working, name="suggest", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the background."""
        self._stop.set()
        self._due.set()
        self._thread.join(30)

    def expect(self) -> None:
        """Say that files may have come, which `ready` is called after: reading and fitting them takes a while."""
        self.preparing = self._expected = True
        self._told(self.version)

    def ready(self) -> None:
        """Compute anew with the files that were read since `expect`; there may have been none."""
        self._expected = False
        self.again()

    def load_features(self, path: Path) -> None:
        """Take the features that the workflow computed; `ready` shows them."""
        from pocketscope.core import parquet
        from pocketscope.suggest import head
        from pocketscope.tables.features import FEATURES, feature_array

        table = parquet.read(path, FEATURES)
        self.features = head.prepared(table["image_id"].to_pylist(), feature_array(table))

    def load_answers(self, path: Path | None) -> None:
        """Take the answers of the model that ships; None where there is none. `ready` shows them."""
        if path is None or not path.is_file():
            self._answers = None
        else:
            from pocketscope.core import parquet
            from pocketscope.tables.answers import ANSWERS

            table = parquet.read(path, ANSWERS)
            rows = zip(*(table[name].to_pylist() for name in ("path", "class", "probability")), strict=True)
            self._answers = {place: (name, probability) for place, name, probability in rows}

    def again(self) -> None:
        """Compute anew, soon."""
        self._due.set()

    def now(self) -> dict[str, Any]:
        """Return the suggestions for the page: guesses and suspicious labels (number, category, confidence), order."""
        about = {"version": self.version, "features": self.features is not None, "preparing": self.preparing}
        return self._now | about

    def similar(self, number: int) -> list[list[float]]:
        """Return the numbers of all images with their distance to one, the most similar first.

        Raises
        ------
        pocketscope.core.errors.InputError
            Nobody has looked at the image yet.
        """
        image_id = self.index.identify(number)
        if self.features is None or image_id not in self.features.image_ids:
            raise InputError("this image has not been looked at yet; that is done when suggestions are prepared")
        from pocketscope.suggest import head

        numbers = self.index.numbers
        found = head.like(self.features, image_id)
        return [[n, round(distance, 4)] for one, distance in found for n in numbers.get(one, ())]

    def enough(self) -> dict[str, Any]:
        """Return the learning curve and what more labels would bring; why not, where there is none.

        Returns
        -------
        dict
            `why` (None where there is a curve), `labels`, `f1`, `deviation` (points), and `forecasts`: a list of
            `images`, `per_category` (None: all images that are left, `images`), `gain`, `lower`, `upper`. No more is
            forecast than there are images to label.
        """
        with self._computing:
            if self._curve[0] != self.labels.last or self._curve[1] is None:
                self._curve = self.labels.last, self._enough()
        return self._curve[1]

    def _enough(self) -> dict[str, Any]:
        if self.features is None:
            return {"why": "The images have not been looked at yet."}
        from pocketscope.suggest import forecast

        known = self._learnt()
        rows = [row for row, one in enumerate(self.features.image_ids) if one in known]
        labels = [known[self.features.image_ids[row]] for row in rows]
        found = forecast.curve(self.features.wide[rows], labels)
        if found is None:
            return {"why": f"Two categories with {forecast.FEWEST} labels each are needed, beside those of the exam."}
        classes = len(set(labels))
        left = self._unlabelled()
        asked = [(more, more * classes) for more in MORE if more * classes <= left]
        if left and len(asked) < len(MORE) and (not asked or asked[-1][1] < left):
            asked.append((None, left))
        return {
            "why": None,
            "labels": found.labels.tolist(),
            "f1": found.f1.tolist(),
            "deviation": found.deviation.tolist(),
            "forecasts": [
                {"images": images, "per_category": more, **forecast.forecast(found, len(labels), images)._asdict()}
                for more, images in asked
            ],
        }

    # ---- in the background

    def _working(self) -> None:
        while True:
            self._due.wait()
            while not self._stop.is_set():  # a moment without labels
                self._due.clear()
                if not self._due.wait(REST):
                    break
            if self._stop.is_set():
                return
            whole = not self._expected
            try:
                self._compute()
            except Exception as error:  # suggestions are no reason to stop labelling
                log.warning("suggestions: %s", error)
            if whole and not self._due.is_set():
                self.preparing = False
            self._told(self.version)

    def _learnt(self) -> dict[str, str]:
        labels = self.labels
        return {one: held.category for one, held in list(labels.of.items()) if held.category and one not in labels.exam}

    def _unlabelled(self) -> int:
        """Return how many images could be labelled to learn from."""
        labels, index = self.labels, self.index
        said = {one for one, held in list(labels.of.items()) if held.category is not None} | labels.exam
        return sum(one not in said and not index.gone.issuperset(ns) for one, ns in list(index.numbers.items()))

    def _suspicious(self, known: dict[str, str]) -> Iterator[list[Any]]:
        from pocketscope.suggest import doubt

        rows = [row for row, one in enumerate(self.features.image_ids) if one in known]
        found = doubt.suspicious(self.features.wide[rows], [known[self.features.image_ids[row]] for row in rows])
        for slip in found:
            for number in self.index.numbers.get(self.features.image_ids[rows[slip.row]], ())[:1]:
                yield [number, slip.instead, round(slip.probability, 4)]

    def _compute(self) -> None:
        with self._computing:
            numbers = self.index.numbers
            found: dict[str, Any] = {"guess": [], "order": [], "suspicious": [], "by": None}
            known = self._learnt()
            guesses = None
            if self.features is not None:
                from pocketscope.suggest import head

                guesses = head.guess(self.features, known)
                asked = head.to_label_next(self.features, known, guesses, skip=self.labels.exam, count=CAREFUL)
                found["order"] = [n for one in asked for n in numbers.get(one, ())[:1]]
                found["suspicious"] = list(self._suspicious(known))
            if self._answers is not None:
                identity = {one.name: one.identity for one in self.labels.categories}
                for number, path in enumerate(list(self.index.paths)):
                    if (answer := self._answers.get(path)) is not None and answer[0] in identity:
                        found["guess"].append([number, identity[answer[0]], round(answer[1], 4)])
                found["by"] = "model"
            elif guesses is not None:
                best = guesses.probabilities.argmax(axis=1)
                sure = guesses.probabilities.max(axis=1)
                for row, image_id in enumerate(self.features.image_ids):
                    if image_id not in self.labels.exam:
                        line = [guesses.classes[best[row]], round(float(sure[row]), 4)]
                        found["guess"] += [[number, *line] for number in numbers.get(image_id, ())]
                found["by"] = "head"
            self._now = found
            self.version += 1
