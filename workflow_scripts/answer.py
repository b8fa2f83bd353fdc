"""Write the model files that ship, answer the images that nobody labelled, and say what the models are."""

import json
from pathlib import Path

from pocketscope.core import files, parquet
from pocketscope.data import corrections
from pocketscope.deploy import answers, facts
from pocketscope.deploy.card import model_card
from pocketscope.inference import onnx_model
from pocketscope.runtime import job
from pocketscope.tables.answers import ANSWERS
from pocketscope.tables.images import IMAGES
from pocketscope.tables.label_set import LABEL_SET
from pocketscope.tables.source_labels import SOURCE_LABELS
from pocketscope.tables.split import SPLIT

job.begin(snakemake)
source, params, made = snakemake.input, snakemake.params, snakemake.output
candidate = params.candidate
decided, recommended = facts.decision(source.get("recommendation"), params.dataset, candidate)
main, other = sorted(("fp32", "int8"), key=lambda form: form != candidate["precision"])
positive, shown = parquet.notes(source.classes)["positive"], json.loads(Path(source.reliability).read_text())
predicted, models = {main: source.predictions, other: source.also}, {}
known = {f: facts.reliable(shown, f) | facts.measured(predicted[f], source.truths, positive) for f in predicted}
known[main] |= facts.of_study(known[main], recommended)
about = {name: params[name] for name in ("study", "dataset", "data_licence", "data_link")}
about["learnt"] = facts.learnt(parquet.read(source.labels, LABEL_SET, columns=["label", "source"]).to_pydict())
for form in (main, other):
    itself = {"method": candidate["method"], "precision": form, "recommended": form == main}
    facts.write_model(source[form], made[form], about | itself | known[form])
    models[form] = onnx_model.open_model(made[form], threads=snakemake.threads)
split, paths = parquet.read(source.split, SPLIT), parquet.mapping(source.images, IMAGES, "image_id", "paths")
by_source = parquet.read(source.source_labels, SOURCE_LABELS)
asked, said = answers.to_answer(split, by_source, parquet.notes(source.split).get("renamed"))
given, unlike = (told(models[main], source.images, asked) for told in (answers.answer, answers.unlikeness))
table = answers.answers_table(given, paths, known[main]["reliable"]["probability"], said, unlike)
parquet.write(table, made.answers, ANSWERS)
same = answers.agreement(models[main], models[other], source.images, split["image_id"].to_pylist())
about |= {"candidate": candidate, "file": models[main].about, "classes": models[main].classes}
about |= known[main] | answers.counted(table) | {"same": same[0], "compared": same[1]}
about |= {"other_scores": known[other].get("scores"), "recommendation": recommended.get("text")}
since = corrections.changed(params.labels["pinned"], params.labels["now"])
about |= {"instead_of": decided, "pinned": params.labels["when"], "labels_since": since}
files.write_text(made.card, model_card(about))
