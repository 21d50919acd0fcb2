"""The only sockets: UDP and TCP listeners, exchanges with upstream servers."""
