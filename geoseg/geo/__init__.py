"""The thin layer between arrays and files: georeference, scenes, mosaics."""
