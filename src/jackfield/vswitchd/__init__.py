"""A configuration kept true: `config` says what shall be, `switchd` makes it so, `commands` tells about it."""
