"""What every part of Fedward shares: the plan, the wire, tensors, identities and reasons."""
