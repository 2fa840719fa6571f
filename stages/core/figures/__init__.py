"""Pictures: each a function of a table.

style     figures, fonts, colours and names
heatmaps  matrices of classes
levels    curves against the noise level
fetch, pretrain, embed, project, angles, persistence, classify, claims
          pictures of what the stage of that name found
"""
