"""hsdnsd: a node-local DNS cache and proxy that answers Kubernetes names from a watch."""
