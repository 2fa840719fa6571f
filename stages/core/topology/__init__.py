"""Persistent homology of point clouds.

rips         Vietoris-Rips diagrams, summaries, distances, cost
null_models  clouds without structure, and confidence bands
divergence   how far two clouds of the same images are apart
"""
