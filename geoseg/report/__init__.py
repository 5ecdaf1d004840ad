"""Pictures of results: curves, sheets, error maps, confusion matrices."""
