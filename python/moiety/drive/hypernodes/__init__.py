"""`moiety train` for the nodes of hypergraphs (`task = "hypernodes"`): networks, data sets and splits, all with all."""
