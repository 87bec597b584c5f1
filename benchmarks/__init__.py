"""What recording costs: CPU time beside a hand-written program that writes the same, measured in pairs."""
