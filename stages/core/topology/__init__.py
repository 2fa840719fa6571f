"""Persistent homology of point clouds.

homology         Vietoris-Rips diagrams, summaries, distances, cost
null_models      clouds without structure, and confidence bands
representations  how far two clouds of the same images are apart
"""
