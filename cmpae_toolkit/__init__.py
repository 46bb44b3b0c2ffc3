"""Presence-absence evidence for weakly-supervised audio-visual event perception (CMPAE, CVPR 2023)."""

__version__ = "0.1.0"
