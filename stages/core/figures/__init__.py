"""Pictures: each a function of a table.

style           figures, fonts, colours and names
heatmaps        matrices of classes
classification, projections, subspaces, topology, claims  pictures of each subject
"""
