"""What the stored measurements say about cost: points summed up, growth with T, crossovers, shares of the roofline."""
