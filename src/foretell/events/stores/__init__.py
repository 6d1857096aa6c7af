"""One model for all stores, one for each, or one for each group of similar stores."""
