"""hsdnsd: a node-local DNS cache and proxy that answers Kubernetes names from a watch."""

# Asking the metadata of the package for it costs 1 MiB and 20 ms at a start without an API client.
__version__ = "0.1.0"
