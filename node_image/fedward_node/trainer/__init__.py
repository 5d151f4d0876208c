"""The trainer: runs the plan on the hospital's data. Nobody trusts it, so it holds no key."""
