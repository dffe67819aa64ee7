"""Video: tubes of any clip length and frame size, from files, frame folders and arrays."""
