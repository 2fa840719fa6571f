"""Pictures: each a function of a table.

style           figures, fonts, colours and names
heatmaps        matrices of classes
angles, classify, claims, persistence, project  pictures of each stage
"""
