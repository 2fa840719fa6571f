"""What was once read off pictures, as numbers with an uncertainty and a verdict.

| module | claims |
| --- | --- |
| sources | (what the other stages wrote, held against each other) |
| finding | (an effect, its interval, and the rules by which a verdict follows) |
| neighbours | 1: in t-SNE and UMAP polka-dotted lies with dotted |
| closest_pairs | 2: which pairs of classes are closest by angle, and how many angles are 0 |
| bars | 3: H0 has one persistent component; 4: H1 has no highly persistent loop |
| loops | 5: loops clump together and die sooner; 6: distances grow with noise |
| accuracy_steps | 7: accuracy falls with noise |
| question | 8: does topological change follow the loss of accuracy? |
| figures | a picture for each |
"""
