"""Classifiers, and the statistics of what they and others measure.

classification  zero-shot, linear probe, nearest neighbours, calibration
statistics      intervals, permutation tests, rank correlation
"""
