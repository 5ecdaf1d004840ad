"""Inference engines behind one protocol; the only place that knows a deep-learning framework by name."""
