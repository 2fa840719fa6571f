"""What many runs say together.

| module | holds |
| --- | --- |
| runs | a run as git and the cache hold it, and how runs are told apart |
| comparable | which runs can be pooled |
| tables | the table of runs, for readers and for CLIP_benchmark |
"""
