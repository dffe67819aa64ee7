"""Point clouds: neighbourhoods or voxels of any number of points, with any features."""
