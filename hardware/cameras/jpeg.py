"""JPEG files from cameras: checked before they are decoded, for they may be half or lie."""

from __future__ import annotations

from asterias.arrays import ImageArray
from asterias.images.decode import ImageError, decode_image
from asterias.images.jpeg import START_OF_IMAGE, jpeg_size

# Pictures of cameras here are some 10 kB; a stream whose parts are longer is none of theirs.
MOST_BYTES = 4 << 20


def decode_jpeg(data: bytes, width_px: int, height_px: int) -> ImageArray:
    """Return the ``(H, W, 3)`` RGB picture in a JPEG file.

    Bytes around the picture (padding of the OV2640, line ends) are left out, and so is the
    orientation that a phone writes into it: how a camera is mounted stands in the description.

    Args:
        data: the file.
        width_px: width that it must have.
        height_px: height that it must have.

    Raises:
        ImageError: it is cut off, damaged, no JPEG, or of another size.
    """
    if START_OF_IMAGE not in data[:64]:
        raise ImageError("no JPEG")
    size = jpeg_size(data)
    if size != (width_px, height_px):
        raise ImageError(
            f"a picture of {size[0]} x {size[1]} instead of {width_px} x {height_px} pixels; "
            "correct width_px and height_px in the robot description"
        )
    return decode_image(data)
