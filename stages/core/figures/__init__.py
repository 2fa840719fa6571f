"""Pictures: each a function of a table.

style     figures, fonts, colours and names
heatmaps  matrices of classes
levels    curves against the noise level
angles, claims, classify, ...  pictures of what the stage of that name found
"""
