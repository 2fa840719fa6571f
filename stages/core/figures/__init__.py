"""Pictures: each a function of a table.

style     figures, fonts, colours and names
heatmaps  matrices of classes
angles, claims, classify, persistence, project  pictures of what the stage of that name found
"""
