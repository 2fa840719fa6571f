"""What was once read off pictures, as numbers with an uncertainty and a verdict.

registry  the claims in order; each is a module of this folder: neighbours, closest_pairs, bars,
          loops, growth, accuracy_steps, question
sources   what the other stages wrote, read and checked to be of one run
finding   an effect, its interval, and the rules by which a verdict follows
pairs     the pairs of classes that claims 1 and 2 are about
rivals    the simpler label-free scores that claim 8 compares topology with

A claim is a module with the schemas of its tables and `decide`, and a line in the registry; where
it has a picture, that is a function in figures/claims.py.
"""
