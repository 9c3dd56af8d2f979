"""Experiments of highway reinforcement learning: anchors, noise, curves over seeds."""
