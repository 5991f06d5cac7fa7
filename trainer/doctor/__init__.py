"""What is here to run on, and what stands in the way: findings with their remedies."""
