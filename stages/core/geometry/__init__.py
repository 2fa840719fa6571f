"""Subspaces and projections of embeddings.

subspaces    principal angles between classes
projections  t-SNE, UMAP, and what a layout preserves
layouts      layouts of all classes and of a sample, and their tables
similarity   how alike two clouds of the same images are
drift        how far a cloud spreads, and how far noise moves it
"""
