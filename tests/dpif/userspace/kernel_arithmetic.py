"""Prints each step of the compiled code that mixes signed and unsigned words, or yields a floating-point number.

Compiles everything afresh, because code loaded from a cache no longer knows its types; run by `test_kernel_arithmetic`.
"""

import sys
import tempfile

from numba.core import ir, types
from numba.core.dispatcher import Dispatcher


def main() -> None:
    import os

    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        from jackfield.dpif.userspace.warm import warm

        warm()
    checked = 0
    for name, module in sorted(sys.modules.items()):
        if not (name.startswith("jackfield.") and ".jit_" in name):
            continue
        for kernel in vars(module).values():
            if isinstance(kernel, Dispatcher) and kernel.py_func.__module__ == name:
                for compiled in kernel.overloads.values():
                    checked += check(name, compiled.type_annotation)
    print("checked", checked)


def check(name: str, annotation: object) -> int:
    checked = 0
    for step, signature in annotation.calltypes.items():  # type: ignore[attr-defined]  # numba has no types
        if not (isinstance(step, ir.Expr) and step.op in ("binop", "inplace_binop")):
            continue
        checked += 1
        kinds = [annotation.typemap[each.name] for each in (step.lhs, step.rhs)]  # type: ignore[attr-defined]
        integers = [kind for kind in kinds if isinstance(kind, types.Integer)]
        wide = [kind for kind in integers if kind.bitwidth == 64]
        mixed = any(not kind.signed for kind in wide) and any(kind.signed for kind in integers)
        if mixed or isinstance(signature.return_type, types.Float):
            print(f"{name}:{step.loc.line}: {step.fn.__name__}({kinds[0]}, {kinds[1]}) -> {signature.return_type}")
    return checked


if __name__ == "__main__":
    main()
