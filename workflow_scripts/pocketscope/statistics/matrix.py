"""The multi-comparison matrix: each group against each other by what no third group can change.

References
----------
.. [1] A. Ismail-Fawaz et al., "An approach to multiple comparison benchmark evaluations that is stable under
       manipulation of the comparate set", arXiv 2305.11921, 2023.
"""

import numpy as np
import pandas as pd

from pocketscope.statistics import hypothesis_tests


def multi_comparison(values: pd.DataFrame) -> pd.DataFrame:
    """Compare all pairs of groups by mean difference, wins, ties and losses, and Wilcoxon's test ([1]_).

    The p-values are not adjusted: an adjustment would depend on which other groups are in the table, which the matrix
    is made to avoid. For verdicts go by the adjusted comparisons.

    Parameters
    ----------
    values
        Index the data sets, columns the groups, higher is better.

    Returns
    -------
    pandas.DataFrame
        Both directions of each pair, groups by their mean, the best first: first, second, difference (of the means),
        wins, ties, losses (data sets of the first), p (Wilcoxon's signed-rank test, two-sided, exact to 50 data sets).
    """
    means = values.mean()
    ordered = values[means.sort_values(ascending=False, kind="stable").index]
    array = hypothesis_tests.rounded(ordered.to_numpy(dtype=float))
    rows = []
    for i, first in enumerate(ordered.columns):
        for j, second in enumerate(ordered.columns):
            if i == j:
                continue
            sign = np.sign(np.round(array[:, i] - array[:, j], hypothesis_tests.DECIMALS))
            rows.append(
                {
                    "first": first,
                    "second": second,
                    "difference": float(means[first] - means[second]),
                    "wins": int((sign > 0).sum()),
                    "ties": int((sign == 0).sum()),
                    "losses": int((sign < 0).sum()),
                    "p": hypothesis_tests.wilcoxon(array[:, i] - array[:, j]).p,
                }
            )
    return pd.DataFrame(rows, columns=["first", "second", "difference", "wins", "ties", "losses", "p"])
