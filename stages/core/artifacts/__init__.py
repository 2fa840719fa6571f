"""What stages hand to one another: formats, schemas, readers and writers.

tables      the one reader and writer of Parquet tables and CSV files, by schema
embeddings  the folder data/embeddings
samples     the folder data/samples
diagrams    the folder data/diagrams, and how its diagrams are compared
ground      by which distance of points diagrams were computed
metrics     the JSON files in metrics/
"""
