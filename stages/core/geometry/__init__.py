"""Subspaces and projections of embeddings.

spaces       the spaces in which the subspaces of classes are compared
subspaces    principal angles between classes
projections  t-SNE, UMAP, and what a layout preserves
"""
