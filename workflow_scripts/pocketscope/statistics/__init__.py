"""Which differences hold, and which candidate to take: from scores and resampled predictions alone.

It reads any table of scores, the workflow's or another's, and knows no network, image or page.
"""
