"""`moiety train` for series on the nodes of graphs (`task = "forecast"`): networks and seeds, all with all."""
