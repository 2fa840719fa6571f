"""Contrastive training of CLIP models.

pairs        images and what is true of them: generated, or from a fetched data set
captions     texts for images of which attributes, colours and scale are known
views        random crops, exposures and noise of training images
contrastive  the loss, batches, and one training step
optimiser    Muon and AdamW
loop         all steps, and the checkpoints to go on from
held_out     what the model makes of pairs that it was not trained on
comparison   recall and cosines of such pairs, as tables
"""
