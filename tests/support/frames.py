"""Frames of the engine's protocol, right ones and wrong ones."""

import json
from typing import Any

import numpy as np
from hypothesis import strategies as st

from iseg_core.engine.protocol import MAGIC, PREFIX, TYPES

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    dtype = draw(st.sampled_from(sorted(TYPES)))
    shape = draw(st.lists(st.integers(0, 5), max_size=4))
    count = int(np.prod(shape))
    data = draw(st.binary(min_size=count * np.dtype(dtype).itemsize, max_size=count * np.dtype(dtype).itemsize))
    return np.frombuffer(data, dtype=dtype).reshape(shape)  # any bits, NaN among them


def raw_frame(header: Any, payload: bytes = b"", text: bytes | None = None) -> bytes:
    """A frame whose prefix is right and whose header may be anything."""
    text = json.dumps(header).encode() if text is None else text
    return PREFIX.pack(MAGIC, len(text), len(payload)) + text + payload


header_like = st.fixed_dictionaries(
    {},
    optional={
        "kind": json_values | st.just("query"),
        "id": json_values | st.just(5),
        "fields": json_values | st.just({}),
        "arrays": json_values
        | st.lists(
            st.tuples(
                json_values | st.just("x"),
                json_values | st.sampled_from(sorted(TYPES)),
                json_values | st.lists(st.integers(-2, 2**70), max_size=6),
            ).map(list)
            | json_values,
            max_size=4,
        ),
        "more": json_values,
    },
)
