"""What a study will do, in sentences: for a notebook's reader, before anything runs."""

from pocketscope.config.methods import Consistency, Method
from pocketscope.plan.study_plan import StudyPlan

VIEWS = {
    "identity": "as it is",
    "horizontal_flip": "mirrored",
    "vertical_flip": "upside down",
    "both_flips": "turned by 180°",
    "rotate_90": "turned by 90°",
    "rotate_270": "turned by 270°",
    "box_blur": "blurred",
    "gaussian_blur": "softly blurred",
    "gamma": "darkened",
}


def study_in_words(plan: StudyPlan) -> list[str]:
    """Return paragraphs in Markdown: the images, the split, what is trained and why."""
    config = plan.config
    sets = ", ".join(f"`{name}` ({dataset.image_size} px)" for name, dataset in config.datasets.items())
    labelled = ", ".join("all labelled images" if k == "all" else f"{k} per class" for k in config.split.labelled)
    if config.split.evaluation == "crossvalidation":
        tested = f"Each labelled image is tested on once, in {config.split.folds} folds."
    else:
        share = f"{100 * config.split.test_share:.0f} %"
        tested = f"The test set is the one that the images come with, else a random {share}. No training sees it."
    runs = trainings(plan)
    several = len(plan.splits) * len(config.datasets)
    return [
        f"**Images**: {sets}. **Labels that are learnt from**: {labelled}. {tested}",
        "**Methods**\n\n" + "\n".join(f"- `{name}`: {_method(method)}" for name, method in config.methods.items()),
        f"**Networks that are compared**: {', '.join(f'`{name}`' for name in config.students)}. In all {runs} networks "
        f"are trained{f', over {several} splits' if several > 1 else ''}; those that several methods need, once.",
    ]


def trainings(plan: StudyPlan) -> int:
    """Return how many networks a study trains."""
    found = {plan.run_of(candidate).folder for candidate in plan.candidates}
    for dataset, split in plan.all_splits():
        for method, number in plan.rounds():
            teachers = plan.teachers(method, str(number))
            found |= {plan.layout.run(dataset, split, labels, name).folder for name, labels in teachers}
        for method in plan.consistency:
            if plan.config.methods[method].warm_start:
                found |= {plan.layout.run(dataset, split, "human", name).folder for name in plan.config.students}
    return len(found)


def _method(method: Method | Consistency) -> str:
    if isinstance(method, Consistency):
        how = {
            "fixmatch": "a confident prediction becomes the label of a strongly changed copy of the image",
            "mixmatch": "predictions of several copies are averaged, and all images mixed",
        }
        return f"labelled and unlabelled images are learnt at once: {how[method.algorithm]}."
    if method.labels == "human" and method.training == "frozen":
        return "a linear layer on the pretrained network's features: the simplest method."
    if method.labels == "human":
        return "the labelled images alone: what the others are to gain upon."
    if method.labels == "full":
        return "every true label, the upper bound: these are rarely known outside a benchmark."
    teachers = " and ".join(f"`{name}`" for name in method.teachers)
    learn, label = ("learns", "labels") if len(method.teachers) == 1 else ("learn", "label")
    views = "under all views that help" if method.views == "auto" else ", ".join(VIEWS[view] for view in method.views)
    rounds = f", in up to {method.rounds} rounds" if method.rounds > 1 else ""
    return (
        f"{teachers} {learn} the labelled images and {label} the others{rounds}, each shown {views}. The student "
        f"learns both, the new labels where their confidence is above {method.threshold:g}."
    )
