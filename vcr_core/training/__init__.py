"""Training: from a configuration to numbers, obeying commands at every step boundary.

Nothing is imported here, so that the channel's and cadence's users need not load torch.
"""
