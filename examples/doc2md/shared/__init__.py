"""What the API and the worker agree on."""
