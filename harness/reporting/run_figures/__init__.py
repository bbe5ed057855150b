"""The figures of a group of runs, one file a figure: ``CAPTION``, ``draw`` and, of some, ``notes``.

``draw(group, evidence)`` gives None where the runs have nothing for the figure; ``notes(group, evidence)`` are the
sentences that depend on the runs and stand after the caption. ``harness.reporting.plots`` lists them.
"""
