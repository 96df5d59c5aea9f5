"""`python -m jackfield` is the `jackfield` command."""

from jackfield.cli.main import main

if __name__ == "__main__":
    main()
