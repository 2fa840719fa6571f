"""Contrastive training of CLIP models.

contrastive  the loss, batches, and one training step
captions     texts for procedurally generated images
optimiser    Muon and AdamW
"""
