"""Training from shards of `cse shards`: mixtures that are already made, in a folder or on a web server."""
