"""From what a user passes as a data set to packed batches: sources, plan, batches, loader."""
