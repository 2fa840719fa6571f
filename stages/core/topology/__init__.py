"""Persistent homology of point clouds.

clouds       which images a cloud is of
rips         the Vietoris-Rips diagrams of a cloud
bars         what a diagram is
summaries    what a diagram comes to
distances    between two diagrams
comparisons  which diagrams are compared
cost         what diagrams take, and whether the settings allow it
divergence   how far two clouds of the same images are apart
null_models  clouds without structure, and confidence bands
"""
