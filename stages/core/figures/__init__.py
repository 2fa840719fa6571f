"""Pictures: each a function of a table.

style           figures, fonts, colours and names
heatmaps        matrices of classes
levels          curves against the noise level
angles, classify, ...  pictures of the stage of that name
"""
