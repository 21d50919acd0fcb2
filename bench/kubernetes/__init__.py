"""The watch-driven half, beside CoreDNS, on a real API server: `bench/run --kubernetes`."""
