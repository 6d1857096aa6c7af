"""What the network says of the next gap."""
