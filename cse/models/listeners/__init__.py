"""Listeners: they hear the estimates one by one and say how well each fits a cue, whatever their order."""
