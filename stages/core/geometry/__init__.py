"""Subspaces and projections of embeddings.

subspaces    principal angles between classes
projections  t-SNE, UMAP, and what a layout preserves
"""
