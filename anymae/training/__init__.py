"""Training: one loop for every modality and recipe, on plain torch.distributed."""
