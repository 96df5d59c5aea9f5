"""What nobody should send, sent: `./run fuzz [TARGET...] [--seconds N]`.

A target takes bytes and checks what is promised of a parser (`fuzz.targets`). It is fed by atheris, which follows the
code that each input reaches, or, where atheris cannot be had, by random changes of the kept inputs (`fuzz.mutate`).
The kept inputs are in `fuzz/corpus/TARGET/`; `tests/test_fuzz.py` replays them and a little more.
"""
