"""What several runs say together.

runs        a run as git and the cache hold it, and how runs are told apart
comparable  which runs can be pooled, and why others cannot
resampling  permutations and resamples of subjects that several runs share
panel       the measures and the losses of accuracy of several runs, aligned by class
pooled      does topological change follow the loss of accuracy, in all runs together?
levels      of models at the same noise level, do those whose diagrams change more lose more?
prediction  does topology predict the loss of accuracy on a run that was not seen?
tables      the table of runs, for readers and for CLIP_benchmark
learned     all of it: tables, findings and the parts of the page
page        the page, which opens with no network
"""
