"""What several runs say together.

resampling  permutations and resamples of subjects that several runs share
panel       the measures and the losses of accuracy of several runs, aligned by class
pooled      does topological change follow the loss of accuracy, in all runs together?
levels      of models at the same noise level, do those whose diagrams change more lose more?
prediction  does topology predict the loss of accuracy on a run that was not seen?
"""
