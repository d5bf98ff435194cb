"""How much of a policy's distance from the best schedules is clairvoyance, which any online policy must do without.

Several futures of one past, equally likely (``futures``). The best schedule of each knows its own; an online policy
must do the same in all of them until they differ (``bound``), and no policy has a lower mean.
"""
