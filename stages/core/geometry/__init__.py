"""Subspaces and projections of embeddings.

subspaces    principal angles between classes
projections  t-SNE, UMAP, and what a layout preserves
drift        how far a cloud spreads, and how far noise moves it
"""
