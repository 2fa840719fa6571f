"""Pictures: each a function of a table.

style     figures, fonts, colours and names
ground    what they say of the distance between points
study     what the pictures of a study are of: the line at their foot
heatmaps  matrices of classes, ordered by clustering
levels    names of the noise levels, and curves against them
question  the picture of claim 8
across    pictures of many runs
fetch, pretrain, embed, project, angles, persistence, classify, claims
          pictures of what the stage of that name found
"""
