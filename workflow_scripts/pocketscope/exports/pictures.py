"""Pictures as files."""

import io

from PIL import Image


def png(image: Image.Image) -> bytes:
    """Return a picture as the content of a PNG file."""
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()
