"""Where many independent items are worked on: in this process, in a pool of processes, or on a Ray cluster."""
