"""The round state machine, pure: events in, decisions out, no I/O and no clock but the one passed in."""
