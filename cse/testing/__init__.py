"""For tests, ours and our users': models that are known exactly, a made-up corpus, speech from flite."""
