"""What our tests share: recorded answers on a loopback server, and the rules of the conventions."""
