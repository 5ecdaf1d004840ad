"""From rasters to polygons: trace, join, simplify, regularize, attributes, files."""
