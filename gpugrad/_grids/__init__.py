"""**What the user says about the samples.** Axes, spacings, masks, options: checked once."""
