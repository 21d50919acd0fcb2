"""Kubernetes objects as small frozen facts -> names and RRsets, by the DNS specification. Pure."""
