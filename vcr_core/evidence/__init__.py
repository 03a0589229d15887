"""Evidence with seeds: studies whose sides are tuned alike, and what they found.

    design      settings, arms and the runs that they take
    studies     every study by its name
    rows        the result file: one line a finished run, only ever added to
    conduct     runs what is missing, through the queue
    findings    means, paired differences
    prediction  whether the baseline alone tells where it helps

Nothing here imports torch.
"""
