"""Recipes: a page of TOML that says how a network is trained, from data to bundle."""
