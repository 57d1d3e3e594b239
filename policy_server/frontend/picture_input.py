"""Pictures and other arrays that are sent as text, in the form: shown, uploaded, drawn."""

from typing import Any, cast

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from policy_server.contract.fields import png
from policy_server.contract.fields.encoded_array import EncodedArray
from policy_server.contract.fields.field import Value
from policy_server.frontend.wording import plain, small

SHOWN_PIXELS = 256
"""How wide a picture is shown; small ones are enlarged, pixel by pixel."""
MAX_SCALE = 24
TWO_CHANNELS, MOST_CHANNELS = 2, 4
LIGHT, DARK = 255, 0


def show(field: EncodedArray, value: str, key: str, label: str) -> Value:
    """Show an array, and ways to another one.

    Args:
        field: Says what it is.
        value: The text that is sent now.
        key: Of the control in the page.
        label: What it is called.

    Returns:
        The text that is sent then.

    Raises:
        ValueError: An uploaded picture, or a text, is not what the field takes.
    """
    st.markdown(small(label))
    shown = st.container()
    text, fault = value, None
    try:
        text = _chosen(field, value, key, label)
    except ValueError as error:
        fault = error
    with shown:
        _look(field, text)
    if fault is not None:
        raise fault
    return text


def _chosen(field: EncodedArray, value: str, key: str, label: str) -> str:
    """The text after an upload, a draw or an entry."""
    if st.button(
        "Random",
        key=f"{key}:random",
        icon=":material/casino:",
        help=f"Draws another valid value of {label}.",
    ):
        value = cast(str, field.sample(np.random.default_rng()))
        st.session_state[f"{key}:drawn"] = st.session_state.get(f"{key}:drawn", 0) + 1
    turn = st.session_state.get(f"{key}:drawn", 0)  # what was drawn puts away what was given
    if field.picture is None or field.dtype != "uint8":
        entered = st.text_area("As base64", value=value, key=f"{key}:text:{turn}", height=100)
        _ = field.read(entered)
        return str(entered)
    height, width, channels = field.picture
    file = st.file_uploader(
        f"PNG of {width} x {height} pixels, {png.CHANNELS[channels]}",
        type=["png"],
        key=f"{key}:file:{turn}",
        help="Width x height. It is sent as it is; of another size it would not be what was seen.",
    )
    if file is None:
        return value
    try:
        return field.write(field.of_picture(png.read_png(file.getvalue(), *field.picture)))
    except ValueError as error:
        raise ValueError(f"{file.name} {error}.") from error


def _look(field: EncodedArray, text: str) -> None:
    array = field.read(text)
    if field.picture is None:
        st.caption(plain(f"{array.size} numbers, {array.min():.4g} to {array.max():.4g}"))
        return
    pixels = visible(field.as_picture(array), field)
    scale = min(max(1, SHOWN_PIXELS // pixels.shape[1]), MAX_SCALE)
    st.image(pixels.repeat(scale, axis=0).repeat(scale, axis=1))


def visible(picture: NDArray[Any], field: EncodedArray) -> NDArray[np.uint8]:
    """A picture as a browser shows it, uint8[H, W, 3 or 1]: all of its range, without transparency.

    Channels are often frames or layers, of which alpha would hide the others: two and four lie side
    by side in gray.
    """
    low, high = field.items.bounds
    least = float(picture.min() if low is None else low)
    most = float(picture.max() if high is None else high)
    share = (picture.astype(np.float64) - least) / ((most - least) or 1.0)
    bright = (share * (LIGHT - DARK)).round().astype(np.uint8)
    channels = bright.shape[2]
    if channels in (TWO_CHANNELS, MOST_CHANNELS):
        return np.concatenate([bright[:, :, each] for each in range(channels)], axis=1)[:, :, None]
    return bright
