"""Other packages' models, set up as their users would, for comparison in the same run."""
