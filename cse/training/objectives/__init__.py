"""Objectives: what a model is trained for, one class each: a loss for training and numbers for validation."""
