"""Grids that are not straight: curved ones, and latitudes and longitudes on a sphere.

`sphere` and `curvilinear` are the objects that users make. What follows from the coordinates alone
is worked out once (`metric`, `sphere_grid`); fields are differentiated slab by slab.
"""
