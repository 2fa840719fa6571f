"""Persistent homology of point clouds.

clouds       which images a cloud is of
metrics      the distances between points, by which diagrams are computed
rips         the Vietoris-Rips diagrams of a cloud
bars         what a diagram is
summaries    what a diagram comes to
distances    between two diagrams
comparisons  which diagrams are compared
cost         what diagrams take, and whether the settings allow it
cycles       the loops of a cloud, each as a ring of its points
loops        those of a study as rings of images
divergence   how far two clouds of the same images are apart
null_models  clouds without structure, and confidence bands
"""
