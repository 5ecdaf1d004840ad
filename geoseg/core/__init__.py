"""Arithmetic on arrays: windows, grids, tapers, filters, patches, stitching, masks, metrics. No files."""
