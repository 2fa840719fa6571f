"""Subspaces and projections of embeddings.

subspaces    principal angles between classes
drift        how far noise moves images, and how far classes spread
projections  t-SNE, UMAP, and what a layout preserves
"""
