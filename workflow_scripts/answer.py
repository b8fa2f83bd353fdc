"""Write the model files that ship, answer the images that nobody labelled, and say what the models are."""

import json
from pathlib import Path

from pocketscope.core import files, parquet
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
decided = {} if params.candidate else json.loads(Path(source.recommendation).read_text())["datasets"][params.dataset]
candidate = {key: (params.candidate or decided)[key] for key in ("method", "network", "precision")}
main, other = sorted(("fp32", "int8"), key=lambda form: form != candidate["precision"])
positive, known = parquet.notes(source.classes)["positive"], {}
for form, predictions in ((main, source.predictions), (other, source.also)):
    known[form] = facts.measured(predictions, source.truths, positive, params.reliable) or {}
known[main]["scores"] |= facts.of_study(decided)
learnt = facts.learnt(parquet.read(source.labels, LABEL_SET, columns=["label", "source"]).to_pydict())
about = {name: params[name] for name in ("study", "dataset", "data_licence")} | {"learnt": learnt}
models = {}
for form in (main, other):
    said = about | {"method": candidate["method"], "precision": form, "recommended": form == main} | known[form]
    facts.write_model(source[form], made[form], said)
    models[form] = onnx_model.open_model(made[form], threads=snakemake.threads)
split, reliable = parquet.read(source.split, SPLIT), known[main]["reliable"]
paths = parquet.mapping(source.images, IMAGES, "image_id", "paths")
asked, said = answers.to_answer(split, parquet.read(source.source_labels, SOURCE_LABELS))
given, unlike = (told(models[main], source.images, asked) for told in (answers.answer, answers.unlikeness))
table = answers.answers_table(given, paths, Reliable(*(reliable[key] for key in Reliable._fields)), said, unlike)
parquet.write(table, made.answers, ANSWERS)
agreement = answers.agreement(models[main], models[other], source.images, split["image_id"].to_pylist())
about |= {"candidate": candidate, "file": models[main].about, "classes": models[main].classes, "reliable": reliable}
about |= {"scores": known[main]["scores"], "other_scores": known[other].get("scores"), "share": params.reliable}
about |= answers.counted(table) | dict(zip(("same", "compared"), agreement, strict=True))
about |= {"known": (decided.get("tested") or known[main]).get("text") or known[main]["known"]}
files.write_text(made.card, model_card(about | {"recommendation": decided.get("text")}))
