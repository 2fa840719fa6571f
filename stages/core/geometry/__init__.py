"""Subspaces and projections of embeddings.

spaces       the spaces in which the subspaces of classes are compared
subspaces    principal angles between classes
drift        how far noise moves images, and how far classes spread
projections  t-SNE, UMAP, and what a layout preserves
umap_neighbours  neighbours for UMAP, and its compiled code
layouts      layouts of all classes and of a sample, and their tables
similarity   how alike two clouds of the same images are
"""
