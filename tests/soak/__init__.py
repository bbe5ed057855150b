"""A soak: commands that are killed at random moments, again and again, and what must hold of the store afterwards.

``python -m tests.soak --kills 50 --seed 0``: training, evaluation, measurement, conversion and report, each gone on
with by the same command until it is done, beside a twin that nobody kills.
"""
