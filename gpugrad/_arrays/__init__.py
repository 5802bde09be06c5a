"""**What an array is.** Its library, namespace, device and dtype; copies from and to the host."""
