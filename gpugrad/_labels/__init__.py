"""**Names and units.** xarray, pint and CF conventions: taken off on the way in, put on again."""
