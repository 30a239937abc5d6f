"""`moiety train` for the classification of a graph's nodes (`task = "nodes"`)."""
