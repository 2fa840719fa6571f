"""Subspaces and projections of embeddings.

subspaces    principal angles between classes
projections  t-SNE, UMAP, and what a layout preserves
similarity   how alike two clouds of the same images are
"""
