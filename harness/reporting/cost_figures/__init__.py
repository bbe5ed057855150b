"""The figures of what lifters cost, one file a figure; ``harness.reporting.cost_plots`` writes them."""
