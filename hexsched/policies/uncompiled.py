"""What to say of an order from outside that does not compile."""

from __future__ import annotations

import dis
import re
from pathlib import Path
from typing import Any

from hexsched.errors import InputError
from hexsched.policies.parts.order import Order


class NotCompiledError(InputError):
    """An order that no run can begin with."""


_PREAMBLE = ("Failed in", "During:", "File ", "- ")


def not_compiled(order: Order, error: Exception) -> NotCompiledError:
    """The error of numba as a line, with the place in the order's own source where that can be told.

    Parameters
    ----------
    order : Order
    error : NumbaError or KeyError
        The latter, with a name, where a record has no such field.
    """
    kernels = [order.key, order.books.note_epoch, order.books.note_entry, order.books.note_service]
    code = order.key.py_func.__code__
    file, line = code.co_filename, code.co_firstlineno
    if isinstance(error, KeyError):
        what = f"there is no field {error.args[0]!r}"
        file, line = next(filter(None, (_place_of(each, error.args[0]) for each in kernels)), (file, line))
    else:
        text = re.sub(r"\x1b\[\d*m", "", str(error))  # numba colours it
        lines = [each.strip() for each in text.splitlines()]
        what = next((each for each in lines if each and not each.startswith(_PREAMBLE)), type(error).__name__)
        places = re.findall(r'File "(?:[^"]*/)?([^"/]+)", line (\d+)', text)
        line = next((int(of) for name, of in reversed(places) if name == Path(file).name), line)
    return NotCompiledError(f"order {order.name!r} does not compile: {what}", f"{file}:{line}")


def _place_of(kernel: Any, field: str) -> tuple[str, int] | None:
    """Where a kernel first asks for a field of that name."""
    code = kernel.py_func.__code__
    if field not in code.co_names:
        return None
    line = code.co_firstlineno
    for each in dis.get_instructions(code):
        line = each.starts_line or line
        if each.argval == field and each.opname == "LOAD_ATTR":
            return code.co_filename, line
    return None
