"""Models that encode images, and the noise on their images.

encoder            what encodes images, and class prompts where it reads text
inputs             images prepared for a model, with their noise
sweep              every image at every noise level, encoded batch by batch
shards             embeddings on disk, from which a killed run goes on
devices            shards on several devices, or as tasks of another engine
noise              kinds of image noise
philox             noise that is made where images are encoded
loading            the encoder that a user names
open_clip_loading  open_clip's models: architectures, folders, hubs
open_clip_encoder  their encoders
timm_models        timm's models
protocol           what an encoder of one's own offers
own_encoder        encoders by the protocol, their answers checked
user_code          a user's Python file, and what it raises
pretrained         weights that a user names, and how images were prepared for them
tokens             tokenisers, which refuse a text that a model cannot read whole
saving             models, written as open_clip publishes them
model_config       open_clip_config.json, checked
model_files        the names by which models, checkpoints and settings are known
checkpoints        files of weights, checked
messages           what to say of failures within open_clip and timm
hardware           devices, number formats, threads
precision          how far an encoder in another number format is from float32
simplification     networks that are trained, made faster
packing            layouts for fast matrix products on CPUs
texture_lite0      the image tower of the shipped model, which starts from photographs
texture_net        a small image tower that starts from nothing; architectures/ holds the
                   configurations of both
"""
