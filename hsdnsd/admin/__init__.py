"""What is seen from outside: metrics, liveness, readiness."""
