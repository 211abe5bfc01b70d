"""Extraction from sound that is still coming: samples in, samples out, and a choice that waits until it is sure."""

from cse.streaming.extractor import StreamingExtractor

__all__ = ["StreamingExtractor"]
