"""A prediction beside the truth: from two files, raster or vector, to scores, tests and error maps."""
