"""The researcher's day: verbs that speak REST and nothing else."""
