"""The control plane: API, sign-in, organisation and quotas, history, web pages."""
