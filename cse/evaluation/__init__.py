"""What an extractor reaches on a manifest of mixtures: metrics, the run, the numbers, the report."""
