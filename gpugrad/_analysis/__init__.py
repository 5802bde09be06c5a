"""**What derivatives are for**: turning points, critical points, noise."""
