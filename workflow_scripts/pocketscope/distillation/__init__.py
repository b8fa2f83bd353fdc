"""From teachers' predictions to pseudo-labels.

Views, calibration, cross-fits, votes, selection, rounds, and the audit of what became of unlabelled images. Nothing is
trained here.
"""
