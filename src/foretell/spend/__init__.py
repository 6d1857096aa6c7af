"""What visits are worth: the amount of each, what customers will spend, and what they are worth today."""
