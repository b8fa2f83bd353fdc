"""Post-hoc tests, adjustments, Bayesian tests and repeated measures: against examples that others have published."""

import importlib.util
import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import published
from pocketscope.statistics import adjustments, bayes, hypothesis_tests, matrix, post_hoc

# García, Fernández, Luengo, Herrera 2010, table 3: accuracy of PDFC, NNEP, IS-CHC + 1NN, FH-GBML on 24 data sets.
GARCIA_2010 = np.array(
    [
        [0.752, 0.773, 0.785, 0.795],
        [0.727, 0.748, 0.724, 0.713],
        [0.736, 0.716, 0.585, 0.638],
        [0.994, 0.861, 0.880, 0.791],
        [0.508, 0.553, 0.575, 0.515],
        [0.535, 0.536, 0.513, 0.471],
        [0.967, 0.871, 0.954, 0.532],
        [0.831, 0.807, 0.819, 0.768],
        [0.745, 0.702, 0.719, 0.705],
        [0.709, 0.572, 0.669, 0.607],
        [0.722, 0.728, 0.725, 0.732],
        [0.967, 0.947, 0.953, 0.960],
        [0.832, 0.752, 0.802, 0.691],
        [0.998, 0.992, 0.482, 0.910],
        [0.963, 0.963, 0.954, 0.926],
        [0.982, 0.953, 0.932, 0.630],
        [0.978, 0.773, 0.834, 0.849],
        [0.854, 0.787, 0.841, 0.779],
        [0.965, 0.984, 0.995, 0.947],
        [0.924, 0.887, 0.861, 0.804],
        [0.929, 0.942, 0.931, 0.921],
        [0.837, 0.643, 0.602, 0.554],
        [0.972, 0.956, 0.944, 0.922],
        [0.958, 0.959, 0.964, 0.964],
    ]
)
# Accuracy of naive Bayes less that of AODE, points, on 53 of the UCI data sets of Benavoli et al. 2017.
NBC_LESS_AODE = (
    "-1.94 -0.26 0.47 -0.72 2 -0.46 -0.15 -7.27 -0.79 -2.6 4.36 -0.61 0 -0.62 -0.07 -0.21 -1.68 0.27 -3.24 -0.83 0 "
    "-1.76 -1.86 -10 -0.34 -4.19 -2.43 -4.75 -3.55 0.58 -10.04 -0.44 1.33 -0.67 -3.92 -2.78 -0.69 -4 -0.34 -1.11 -3.28 "
    "-1.68 -0.7 -0.37 -5.6 -0.4 -16.91 -5.04 -1.81 0.5 0.14 -0.2 -0.68"
)
# Field, "Discovering statistics", repeated measures: seconds to retch, 8 celebrities and 4 animals.
FIELD = [
    [8, 7, 1, 6],
    [9, 5, 2, 5],
    [6, 2, 3, 8],
    [5, 3, 1, 9],
    [8, 4, 5, 8],
    [7, 5, 6, 7],
    [10, 2, 7, 2],
    [12, 6, 8, 1],
]
many_p = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=6, max_size=6)  # of all pairs of four groups


def against_the_first(ranked):
    """The p-values of all groups but the first, which is the control."""
    return np.array([2 * stats.norm.sf(abs(ranked.z(0, j))) for j in range(1, len(ranked.ranks))])


def test_critical_values_are_those_of_demsar_2006():
    """Table 5: q for two to ten classifiers, two-tailed, at 0.05 and at 0.10."""
    nemenyi = {
        0.05: [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164],
        0.10: [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920],
    }
    bonferroni_dunn = {
        0.05: [1.960, 2.241, 2.394, 2.498, 2.576, 2.638, 2.690, 2.724, 2.773],  # it is 2.734
        0.10: [1.645, 1.960, 2.128, 2.241, 2.326, 2.394, 2.450, 2.498, 2.539],
    }
    for test, table in (("nemenyi", nemenyi), ("bonferroni-dunn", bonferroni_dunn)):
        for alpha, printed in table.items():
            for k, q in zip(range(2, 11), printed, strict=True):
                difference = post_hoc.critical_difference(k, 20, alpha, test)
                assert difference / math.sqrt(k * (k + 1) / 120) == pytest.approx(
                    q, abs=0.0105 if q == 2.724 else 0.0015
                )


def test_critical_differences_of_demsar_2006():
    """Section 3.2.3: four classifiers on 14 data sets."""
    assert round(post_hoc.critical_difference(4, 14), 2) == 1.25
    assert round(post_hoc.critical_difference(4, 14, 0.1), 2) == 1.12
    assert round(post_hoc.critical_difference(4, 14, 0.05, "bonferroni-dunn"), 2) == 1.17  # printed: 1.16, cut
    with pytest.raises(ValueError, match="has no critical difference"):
        post_hoc.critical_difference(4, 14, test="holm")


def test_nemenyi_agrees_with_its_own_critical_difference_and_with_scikit_posthocs():
    from scikit_posthocs import posthoc_nemenyi_friedman

    ranked = post_hoc.friedman_ranks(GARCIA_2010)
    theirs = posthoc_nemenyi_friedman(GARCIA_2010).to_numpy()
    for i, j in itertools.combinations(range(4), 2):
        p = float(post_hoc.nemenyi_p(ranked.z(i, j), 4))
        assert p == pytest.approx(theirs[i, j], abs=1e-6)
        far = abs(ranked.ranks[i] - ranked.ranks[j]) > post_hoc.critical_difference(4, 24)
        assert far == (p < 0.05)


def test_all_pairs_of_garcia_2008():
    """Table 6: adjusted p-values of Nemenyi (Bonferroni), Holm, Shaffer, Bergmann-Hommel, as printed."""
    values = pd.read_csv(published.path("garcia2008_accuracy.csv"), index_col=0)
    names = [name.partition("(")[0] for name in values.columns]
    pairs = list(itertools.combinations(range(5), 2))
    ranked = post_hoc.friedman_ranks(values)
    p = [2 * stats.norm.sf(abs(ranked.z(i, j))) for i, j in pairs]
    found = np.column_stack(
        [
            adjustments.bonferroni(p),
            hypothesis_tests.holm(p),
            adjustments.shaffer(p, 5),
            adjustments.bergmann_hommel(p, 5),
        ]
    )
    printed = {
        ("C4.5", "Kernel"): (4.487e-7, 4.487e-7, 4.487e-7, 4.487e-7),
        ("NaiveBayes", "Kernel"): (1.736e-6, 1.563e-6, 1.042e-6, 1.042e-6),
        ("Kernel", "CN2"): (0.0288, 0.0230, 0.0173, 0.0115),
        ("C4.5", "k-NN"): (0.0485, 0.0339, 0.0291, 0.0291),
        ("k-NN", "Kernel"): (0.0796, 0.0478, 0.0478, 0.0319),
        ("k-NN", "NaiveBayes"): (0.1011, 0.0506, 0.0478, 0.0303),
        ("C4.5", "CN2"): (0.1276, 0.0511, 0.0511, 0.0383),
        ("NaiveBayes", "CN2"): (0.2474, 0.0742, 0.0742, 0.0383),
        ("k-NN", "CN2"): (1, 1, 1, 1),
        ("C4.5", "NaiveBayes"): (1, 1, 1, 1),
    }
    for (i, j), line in zip(pairs, found, strict=True):
        assert line == pytest.approx(printed[names[i], names[j]], rel=5e-4, abs=5e-5)


def test_ranks_and_adjusted_p_of_garcia_2010():
    """Control PDFC: Friedman's, aligned and Quade's ranks, and p unadjusted, by Holm, Finner and Li, as published."""
    friedman, quade = post_hoc.friedman_ranks(GARCIA_2010), post_hoc.quade_ranks(GARCIA_2010)
    assert friedman.ranks == pytest.approx([1.7708, 2.4792, 2.4792, 3.2708], abs=5e-5)
    assert quade.ranks == pytest.approx([1.3883, 2.5383, 2.5917, 3.4817], abs=5e-5)
    p = against_the_first(friedman)
    assert p == pytest.approx([0.0573469, 0.0573469, 5.69941e-5], rel=1e-5)
    assert hypothesis_tests.holm(p) == pytest.approx([0.11469, 0.11469, 1.70982e-4], rel=1e-4)
    assert adjustments.finner(p) == pytest.approx([0.08477, 0.08477, 1.70982e-4], rel=1e-4)
    assert adjustments.li(p) == pytest.approx([0.0573469, 0.0573469, 6.045773e-5], rel=1e-5)
    p = against_the_first(quade)
    assert p == pytest.approx([0.02751561423586, 0.0210913960895, 6.016956547e-5], rel=1e-9)
    assert hypothesis_tests.holm(p) == pytest.approx([0.0421827921791, 0.0421827921791, 1.80508696407e-4], rel=1e-9)
    assert adjustments.finner(p) == pytest.approx([0.03146968542315, 0.03146968542315, 1.804978354956e-4], rel=1e-9)
    assert adjustments.li(p) == pytest.approx([0.027515614235860, 0.021227767901302, 6.186818397108e-5], rel=1e-9)


def test_aligned_ranks_of_garcia_2010():
    """Printed: 29.333, 46.792, 46.979, 70.896; there, equal values were told apart by their last bits."""
    aligned = post_hoc.aligned_ranks(GARCIA_2010)
    assert aligned.ranks == pytest.approx([29.333, 46.792, 46.979, 70.896], abs=0.022)
    p = against_the_first(aligned)
    assert p[2] == pytest.approx(2.3602680011e-7, rel=1e-9)  # its difference of ranks is the same with and without ties
    assert p[:2] == pytest.approx([0.02993, 0.02821], rel=0.015)
    assert hypothesis_tests.holm(p)[2] == pytest.approx(7.0808040034e-7, rel=1e-9)


def test_aligned_friedman_has_its_mean_under_permutation():
    """If chance alone orders each block, the statistic is on average its degrees of freedom."""
    rng = np.random.default_rng(0)
    found = [post_hoc.aligned_friedman(rng.permuted(GARCIA_2010, axis=1)).statistic for _ in range(2000)]
    assert np.mean(found) == pytest.approx(3, abs=0.15)
    assert post_hoc.aligned_friedman(np.ones((5, 3))).p == 1


def test_quades_own_z_gives_the_first_studys_seven_groupings():
    """Table 6: families told apart. By plain mean ranks `model_data` has one difference more."""
    study = pd.read_csv(published.path("published_results.csv"))
    families = [
        ["fbnet", "mixnet", "mnasnet"],
        ["mobilenet_v2", "resnet18", "squeezenet", "shufflenet"],
        ["resnet18_int8", "resnet50_int8"],
    ]
    names = ["nas", "manual", "quantised"]
    found = {}
    for method, part in study.groupby("method"):
        wide = part.pivot_table(index="dataset", columns="network", values="f1")
        values = np.column_stack([wide[members].mean(axis=1) for members in families])
        for name, ranks in (("quade", post_hoc.quade_ranks), ("plain", post_hoc.friedman_ranks)):
            ranked = ranks(values)
            best = int(np.argmin(ranked.ranks))
            others = [j for j in range(3) if j != best]
            p = hypothesis_tests.holm([2 * stats.norm.sf(abs(ranked.z(best, j))) for j in others])
            worse = {names[j] for j, q in zip(others, p, strict=True) if q < 0.05}
            found[name, method] = (names[best], worse if hypothesis_tests.quade(values).p < 0.05 else set())
    printed = {
        "supervised": ("nas", {"manual", "quantised"}),
        "plain": ("nas", {"manual", "quantised"}),
        "data": ("nas", {"manual", "quantised"}),
        "model": ("nas", {"quantised"}),
        "model_data": ("nas", {"quantised"}),
        "fixmatch": ("quantised", {"manual"}),
        "mixmatch": ("nas", set()),
    }
    assert {method: found["quade", method] for method in printed} == printed
    assert found["plain", "model_data"] == ("nas", {"manual", "quantised"})


def test_bayesian_signed_rank_of_benavoli_2017():
    """Naive Bayes and AODE, region of one point: printed 0.000, 0.122, 0.878 on these 53 data sets and a 54th."""
    found = bayes.signed_rank(list(map(float, NBC_LESS_AODE.split())), rope=1)
    assert found == pytest.approx((0.0, 0.122, 0.878), abs=0.015)
    assert sum(found) == pytest.approx(1)


def test_bayesian_signed_rank_is_symmetric_and_knows_equality():
    first = bayes.signed_rank([0.02, 0.01, 0.03, -0.005, 0.02], 0.01)
    second = bayes.signed_rank([-0.02, -0.01, -0.03, 0.005, -0.02], 0.01)
    assert first == pytest.approx(second[::-1], abs=0.01)
    assert bayes.signed_rank([0.0] * 8, 0.01).equal == 1
    assert bayes.signed_rank([0.0] * 8, 0.0) == pytest.approx((0.5, 0.0, 0.5))
    assert bayes.signed_rank([0.3] * 30, 0.01).first > 0.999


def test_correlated_t_of_benavoli_2017():
    """Naive Bayes and AODE on anneal, ten runs of ten folds: printed 0.95430, 0.045703, 3.04e-7."""
    differences = np.random.default_rng(0).normal(size=100)
    differences = (differences - differences.mean()) / differences.std(ddof=1)
    differences = -1.93882 + math.sqrt(2.50495) * differences  # the published accuracies' mean and variance, points
    found = bayes.correlated_t(differences, rope=1, test_share=0.1)
    assert found == pytest.approx((3.0e-7, 0.0457, 0.9543), abs=5e-5)


def test_corrected_t_of_scikit_learns_example():
    """Two kernels, ten times ten folds ("Statistical comparison of models using grid search"): t 0.750, p 0.227."""
    from sklearn.datasets import make_moons
    from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
    from sklearn.svm import SVC

    x, y = make_moons(noise=0.352, random_state=1, n_samples=100)
    folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    rbf, linear = (
        cross_val_score(SVC(kernel=kernel, random_state=0), x, y, scoring="roc_auc", cv=folds)
        for kernel in ("rbf", "linear")
    )
    found = bayes.corrected_t(rbf - linear, test_share=0.1)
    assert round(found.statistic, 3) == 0.750
    assert round(found.p / 2, 3) == 0.227  # printed one-sided
    posterior = bayes.correlated_t(rbf - linear, rope=0, test_share=0.1)
    assert round(posterior.first, 3) == 0.773
    assert round(bayes.correlated_t(rbf - linear, rope=0.01, test_share=0.1).equal, 3) == 0.432


def test_repeated_measures_of_fields_example():
    """Printed by SPSS: F(3, 21) = 3.79, p = .026; Mauchly's W = .136, p = .047; epsilon = .533, p = .063."""
    found = post_hoc.repeated_measures(FIELD)
    assert (round(found.statistic, 2), found.degrees, round(found.p, 3)) == (3.79, (3, 21), 0.026)
    assert (round(found.mauchly_w, 3), round(found.mauchly_p, 3)) == (0.136, 0.047)
    assert (round(found.epsilon, 3), round(found.corrected_p, 3)) == (0.533, 0.063)


def test_repeated_measures_agree_with_statsmodels():
    from statsmodels.stats.anova import AnovaRM

    values = np.random.default_rng(0).normal(size=(9, 4))
    frame = pd.DataFrame(values).melt(ignore_index=False, var_name="group").rename_axis("block").reset_index()
    theirs = AnovaRM(frame, "value", "block", within=["group"]).fit().anova_table.iloc[0]
    ours = post_hoc.repeated_measures(values)
    assert (ours.statistic, ours.p) == pytest.approx((theirs["F Value"], theirs["Pr > F"]))


def test_repeated_measures_of_two_groups_are_the_paired_t_test():
    values = np.random.default_rng(0).normal(size=(9, 2))
    ours, theirs = post_hoc.repeated_measures(values), stats.ttest_rel(*values.T)
    assert (ours.statistic, ours.p, ours.epsilon) == pytest.approx((theirs.statistic**2, theirs.pvalue, 1))
    assert post_hoc.repeated_measures(np.ones((5, 3))).p == 1


@given(many_p)
def test_sharper_adjustments_are_never_below_the_p_values_nor_above_the_blunter_ones(p):
    holm, shaffer = hypothesis_tests.holm(p), adjustments.shaffer(p, 4)
    hommel = adjustments.bergmann_hommel(p, 4)
    for adjusted in (holm, shaffer, hommel, adjustments.finner(p), adjustments.li(p)):
        assert (adjusted >= np.array(p) - 1e-12).all()
        assert (adjusted <= 1).all()
    assert (shaffer <= holm + 1e-12).all()
    assert (hommel <= shaffer + 1e-12).all()
    assert (adjustments.finner(p) <= holm + 1e-12).all()


@pytest.mark.parametrize("factor", [1e300, 100, 1e-12])
def test_ranks_do_not_depend_on_the_scale(factor):
    for test in (hypothesis_tests.friedman, hypothesis_tests.quade, post_hoc.aligned_friedman):
        assert test(GARCIA_2010 * factor).statistic == pytest.approx(test(GARCIA_2010).statistic)
    differences = GARCIA_2010[:, 0] - GARCIA_2010[:, 1]
    scaled = hypothesis_tests.wilcoxon(differences * factor, scale=factor)
    assert scaled == hypothesis_tests.wilcoxon(differences)


def test_adjustments_for_all_pairs_want_all_pairs():
    with pytest.raises(ValueError, match="5 groups have 10 pairs, not 4"):
        adjustments.shaffer([0.1] * 4, 5)
    with pytest.raises(ValueError, match="at most 9"):
        adjustments.bergmann_hommel([0.1] * 45, 10)
    assert adjustments.bergmann_hommel([0.001] * 36, 9) == pytest.approx(0.036)


def test_no_third_group_changes_the_multi_comparison_matrix():
    """Wins, ties and losses by hand, Wilcoxon's p as scipy has it, and the same without the others."""
    values = pd.DataFrame(GARCIA_2010, columns=["PDFC", "NNEP", "IS-CHC", "FH-GBML"])
    found = matrix.multi_comparison(values).set_index(["first", "second"])
    assert list(dict.fromkeys(found.index.get_level_values(0))) == ["PDFC", "NNEP", "IS-CHC", "FH-GBML"]
    pair = found.loc[("PDFC", "NNEP")]
    difference = GARCIA_2010[:, 0] - GARCIA_2010[:, 1]
    counted = [int((difference > 0).sum()), int((difference == 0).sum()), int((difference < 0).sum())]
    assert pair[["wins", "ties", "losses"]].tolist() == counted
    assert pair["difference"] == pytest.approx(0.849375 - 0.808542, abs=1e-6)
    assert pair["p"] == pytest.approx(stats.wilcoxon(difference, method="approx").pvalue, rel=0.15)
    alone = matrix.multi_comparison(values[["NNEP", "PDFC"]]).set_index(["first", "second"])
    pd.testing.assert_frame_equal(alone, found.loc[alone.index], rtol=1e-9)


def test_rank_biserials_of_many_pairs_are_those_of_each():
    values = np.round(GARCIA_2010, 1)  # with ties and zeros
    pairs = list(itertools.combinations(range(4), 2))
    each = [hypothesis_tests.rank_biserial(values[:, i] - values[:, j]) for i, j in pairs]
    assert hypothesis_tests.rank_biserials(values, pairs) == pytest.approx(each)


def test_the_table_of_published_figures_is_true():
    """docs/statistics.md has what benchmarks/published_figures.py prints, of which two figures are not explained."""
    scores = pd.read_csv(published.path("published_results.csv"))
    root = Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location("published_figures", root / "benchmarks" / "published_figures.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text, count = script.table(scores)
    assert count == {
        "reproduced": 197, "not explained": 2, "cut, not rounded": 3, "rounded twice": 1, "inputs contradict": 1
    }  # fmt: skip
    document = (root / "docs" / "statistics.md").read_text(encoding="utf-8")
    assert document.partition("<!-- published figures -->\n")[2].startswith(text + "\n<!-- end")
