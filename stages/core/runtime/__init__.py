"""What every command needs, whatever it computes.

command     a click command whose settings come from params.yaml
params      reads a section of params.yaml and checks it
errors      StudyError, the one exception for what a user can fix
files       files and folders that appear whole or not at all
paths       paths that a user wrote
wording     numbers in sentences
parallel    processes and threads
remote      where maps compute if not on this machine, and with which files
cluster     maps on the workers of a Dask cluster
storage     files of such a map, for workers that do not see the study's folder
pickles     what such a map needs, in one file
progress    progress bars, and the time that is left
interruption  Ctrl-C and kills
randomness  generators derived from a seed and names, and samples drawn by them
budget      what a stage is about to take, and whether there is room for it
checksums   of files and folders, by content
"""
