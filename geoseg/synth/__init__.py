"""Procedural aerial scenes with exact truth."""

from geoseg.synth.scene import SceneSpec, SyntheticScene, synthesize
from geoseg.synth.sensor import Sensor

__all__ = ["SceneSpec", "Sensor", "SyntheticScene", "synthesize"]
