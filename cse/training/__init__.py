"""Training: losses, dynamic mixing, the Lightning module, and the run that ties them together."""
