"""The engine for arrays of JAX that are spread over devices: each device evaluates its block.

`shards` tells how a field is cut. `operands` takes the numbers out of plans, so that one program
serves all spacings; `program` is what each device does, and `engine` finds it and runs it. Where
only XLA will know how a field is cut, `traced` evaluates it.
"""
