"""CLIP models, and the noise on their images.

encoder       images and class prompts, encoded
sweep         every image at every noise level, encoded
noise         kinds of image noise
loading       open_clip's models: architectures, folders, hubs
pretrained    weights that a user names, and how images were prepared for them
tokens        tokenisers, which refuse a text that a model cannot read whole
saving        models, written as open_clip publishes them
model_config  open_clip_config.json, checked
model_files   the names by which models, checkpoints and settings are known
checkpoints   files of weights, checked
messages      what to say of failures within open_clip
hardware      devices, number formats, threads
precision     an encoder in another number format
packing       bfloat16 layouts for fast matrix products on CPUs
texture_net   the image tower of the shipped model; its configuration is in architectures/
"""
