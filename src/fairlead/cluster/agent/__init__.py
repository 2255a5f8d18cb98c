"""Role: the one outbound connection to the control plane."""
