"""Role: refuses pods that would get around quotas or onto others' devices, and completes the others."""
