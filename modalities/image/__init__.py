"""Images: patches of any rectangle, with any number of channels."""
