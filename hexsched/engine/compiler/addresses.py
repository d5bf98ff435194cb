"""How named tuples of arrays that are marked ``by_address`` come to kernels: as one pointer.

numba hands a tuple over field by field: 500 numbers for both memories of a run, at each of 500 calls between kernels.
All of these calls are inlined, so none of that is left in machine code, but most of the time to compile went into
writing it down.
"""

from __future__ import annotations

import hashlib
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel.models import DataModel
from numba.core.datamodel.registry import register_default
from numba.core.imputils import impl_ret_borrowed, lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.core.typing.typeof import typeof, typeof_impl
from numba.extending import NativeValue, unbox

from hexsched.engine.by_address import HandedByAddress


@typeof_impl.register(HandedByAddress)
def _type_of(value: Any, context: Any) -> ByAddress:
    return ByAddress(type(value).__name__, value._fields, [typeof(each, context.purpose) for each in value])


class ByAddress(types.Type):
    """A named tuple of fields of these types, at an address."""

    def __init__(self, name: str, names: tuple[str, ...], of: list[types.Type]) -> None:
        self.of = dict(zip(names, of, strict=True))
        digest = hashlib.sha256(repr(self.of).encode()).hexdigest()[
            :16
        ]  # names are part of those of compiled functions
        super().__init__(name=f"{name}.{digest}")


@register_default(ByAddress)
class _Model(DataModel):
    """A pointer while it is a value or an argument; the fields themselves, one after another, where it is kept."""

    def __init__(self, manager: Any, of: ByAddress) -> None:
        super().__init__(manager, of)
        models = [manager.lookup(each) for each in of.of.values()]
        self._fields = ir.LiteralStructType(
            [each.get_data_type() if isinstance(each, _Model) else each.get_value_type() for each in models]
        )

    def get_value_type(self) -> Any:
        return self._fields.as_pointer()

    def get_argument_type(self) -> Any:
        return self.get_value_type()

    def get_data_type(self) -> Any:
        return self._fields

    def get_return_type(self) -> Any:
        return self._fields

    def as_argument(self, builder: Any, value: Any) -> Any:
        return value

    def from_argument(self, builder: Any, value: Any) -> Any:
        if "alwaysinline" in builder.function.attributes:
            return value
        # A copy of its own, of which the compiler knows that no store to an array changes it.
        return self.load_from_data_pointer(builder, value)

    def as_data(self, builder: Any, value: Any) -> Any:
        return builder.load(value)

    def from_data(self, builder: Any, value: Any) -> Any:
        return cgutils.alloca_once_value(builder, value)

    def load_from_data_pointer(self, builder: Any, pointer: Any, align: Any = None) -> Any:
        return self.from_data(builder, builder.load(pointer))

    as_return, from_return = as_data, from_data


@infer_getattr
class _Attributes(AttributeTemplate):
    key = ByAddress

    def generic_resolve(self, of: ByAddress, name: str) -> Any:  # type: ignore[override]
        return of.of.get(name)


@lower_getattr_generic(ByAddress)
def _field(context: Any, builder: Any, of: ByAddress, value: Any, name: str) -> Any:
    pointer = cgutils.gep_inbounds(builder, value, 0, list(of.of).index(name))
    kind = of.of[name]
    if isinstance(kind, ByAddress):
        return pointer
    return impl_ret_borrowed(context, builder, kind, builder.load(pointer))


@unbox(ByAddress)
def _from_python(of: ByAddress, value: Any, c: Any) -> NativeValue:
    pointer = cgutils.alloca_once(c.builder, c.context.get_data_type(of))
    wrong = cgutils.alloca_once_value(c.builder, cgutils.false_bit)
    _fill(of, value, pointer, wrong, c)
    return NativeValue(pointer, is_error=c.builder.load(wrong))


def _fill(of: ByAddress, value: Any, pointer: Any, wrong: Any, c: Any) -> None:
    for k, kind in enumerate(of.of.values()):
        item = c.pyapi.tuple_getitem(value, k)
        place = cgutils.gep_inbounds(c.builder, pointer, 0, k)
        if isinstance(kind, ByAddress):
            _fill(kind, item, place, wrong, c)
        else:
            native = c.unbox(kind, item)
            c.builder.store(native.value, place)
            with cgutils.if_unlikely(c.builder, native.is_error):
                c.builder.store(cgutils.true_bit, wrong)
