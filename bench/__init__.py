"""Measures the daemon beside the servers that a user would otherwise run. bench/README.md says what and how."""
