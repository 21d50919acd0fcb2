"""What may be kept of an upstream's answer, for how long, and the bounded store that keeps it. `now` is an argument."""
