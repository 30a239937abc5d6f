"""`moiety train` for the densest part of generated hypergraphs (`task = "densest"`), beside greedy methods."""
