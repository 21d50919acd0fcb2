"""The only knowledge of the API server and of manifests on disk. Kubernetes objects die at this border."""
