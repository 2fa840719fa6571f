"""CLIP models, and the noise on their images.

encoder       loads an open_clip model; encodes images and prompts
model_config  open_clip_config.json, checked
model_files   the names by which models and checkpoints are known
checkpoints   files of weights, checked
packing       bfloat16 layouts for fast matrix products on CPUs
texture_net   the image tower of the shipped model; its configuration is in architectures/
noise         kinds of image noise
"""
