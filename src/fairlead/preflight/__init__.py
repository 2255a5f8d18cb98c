"""Prerequisites of a cluster: facts, one pure check per rule, a report. Only `gather` (beside the rest) does I/O."""
