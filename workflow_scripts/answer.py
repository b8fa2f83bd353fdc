"""Write the model files that ship, answer the images that nobody labelled, and say what the models are."""

import json
from pathlib import Path

from pocketscope.core import files, parquet
from pocketscope.data import corrections
from pocketscope.deploy import answers, facts
from pocketscope.deploy.card import model_card
from pocketscope.inference import onnx_model
from pocketscope.runtime import job
from pocketscope.statistics.reliable import Reliable
from pocketscope.tables.answers import ANSWERS
from pocketscope.tables.images import IMAGES
from pocketscope.tables.label_set import LABEL_SET
from pocketscope.tables.source_labels import SOURCE_LABELS
from pocketscope.tables.split import SPLIT

job.begin(snakemake)
source, params, made = snakemake.input, snakemake.params, snakemake.output
candidate = params.candidate
decided = {} if params.named else json.loads(Path(source.recommendation).read_text())["datasets"][params.dataset]
# What the study says of the candidate that it recommends is not said of another one that ships.
recommended = decided if candidate.items() <= decided.items() else {}
main, other = sorted(("fp32", "int8"), key=lambda form: form != candidate["precision"])
positive, shown = parquet.notes(source.classes)["positive"], json.loads(Path(source.reliability).read_text())
predicted, models = {main: source.predictions, other: source.also}, {}
known = {f: facts.reliable(shown, f) | facts.measured(predicted[f], source.truths, positive) for f in predicted}
known[main]["scores"] |= facts.of_study(recommended)
learnt = facts.learnt(parquet.read(source.labels, LABEL_SET, columns=["label", "source"]).to_pydict())
about = {name: params[name] for name in ("study", "dataset", "data_licence")} | {"learnt": learnt}
for form in (main, other):
    said = about | {"method": candidate["method"], "precision": form, "recommended": form == main} | known[form]
    facts.write_model(source[form], made[form], said)
    models[form] = onnx_model.open_model(made[form], threads=snakemake.threads)
split, paths = parquet.read(source.split, SPLIT), parquet.mapping(source.images, IMAGES, "image_id", "paths")
by_source = parquet.read(source.source_labels, SOURCE_LABELS)
asked, said = answers.to_answer(split, by_source, parquet.notes(source.split).get("renamed"))
enough = Reliable(*(known[main]["reliable"][name] for name in Reliable._fields))
given, unlike = (told(models[main], source.images, asked) for told in (answers.answer, answers.unlikeness))
table = answers.answers_table(given, paths, enough, said, unlike)
parquet.write(table, made.answers, ANSWERS)
agreement = answers.agreement(models[main], models[other], source.images, split["image_id"].to_pylist())
about |= {"candidate": candidate, "file": models[main].about, "classes": models[main].classes}
about |= known[main] | answers.counted(table) | dict(zip(("same", "compared"), agreement, strict=True))
about |= {"known": (recommended.get("tested") or {}).get("text") or known[main]["known"]}
about |= {"other_scores": known[other].get("scores"), "recommendation": recommended.get("text")}
about |= {"instead_of": decided, "pinned": params.labels["when"]}
about |= {"labels_since": corrections.changed(params.labels["pinned"], params.labels["now"])}
files.write_text(made.card, model_card(about))
