"""Classifiers, and the statistics of what they and others measure.

classification  the classifiers: zero-shot, linear probe, nearest neighbours, nearest mean
accuracy        what they get right at each noise level
calibration     what their confidence is worth
statistics      intervals, permutation tests, rank correlation
verdicts        the words for what becomes of a claim
headline        the numbers that a comparison of variants begins with
"""
