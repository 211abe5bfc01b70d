"""From corpora as they are distributed to manifests of utterances."""
