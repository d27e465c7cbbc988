"""Exceptions: one class per status of libhlqcomm, made from libhlqcomm's own list.

HLQ_E_INVALID becomes HLQInvalidError, and so on. Every class is an HLQError and, where Python has a
word for it, that too: ``except ValueError`` and ``except TimeoutError`` work. The message is
libhlqcomm's sentence on the failure; it names the rank at fault where it is known.
"""

from . import _C


class HLQError(RuntimeError):
    """A collective or the making of a communicator failed.

    Attributes:
        status: value of the hlq_status, e.g. 10.
        status_name: its name, e.g. "HLQ_E_INVALID".
    """

    status: int = 0
    status_name: str = ""


_ALSO = {
    "HLQ_E_INVALID": (ValueError,),
    "HLQ_E_MISMATCH": (ValueError,),
    "HLQ_E_UNSUPPORTED": (NotImplementedError,),
    "HLQ_E_NOMEM": (MemoryError,),
    "HLQ_E_TIMEOUT": (TimeoutError,),
}


def _class_of(name: str, value: int, sentence: str) -> type[HLQError]:
    words = name.removeprefix("HLQ_E_").split("_")
    title = "HLQ" + "".join(word.capitalize() for word in words) + "Error"
    body = {
        "__doc__": sentence[0].upper() + sentence[1:] + ".",
        "__module__": __name__,
        "status": value,
        "status_name": name,
    }
    return type(title, (HLQError, *_ALSO.get(name, ())), body)


#: Exception classes by status.
CLASSES: dict[int, type[HLQError]] = {
    value: _class_of(name, value, sentence)
    for name, value, sentence in _C.status_list()
    if name != "HLQ_OK"
}
globals().update({cls.__name__: cls for cls in CLASSES.values()})
__all__ = ["CLASSES", "HLQError", *(cls.__name__ for cls in CLASSES.values())]


def error_of(status: int, sentence: str) -> HLQError:
    """The exception for a status; called by the extension."""
    return CLASSES[status](sentence)
