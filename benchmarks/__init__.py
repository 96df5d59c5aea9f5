"""Every figure Jackfield quotes, with the command that makes it; `./run bench --help` lists the rigs."""
