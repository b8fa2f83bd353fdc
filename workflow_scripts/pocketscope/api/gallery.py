"""Images with words below them, as a notebook shows them: small PNG files inside the HTML, no server, no widgets."""

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

SIDE = 112  # pixels on the screen


class Gallery:
    """Images and their captions.

    Parameters
    ----------
    title
        Stands above.
    images
        uint8 (height, width, 3), each.
    captions
        One for each image.
    """

    def __init__(self, title: str, images: Sequence[np.ndarray], captions: Sequence[str]) -> None:
        self.title, self.images, self.captions = title, list(images), list(captions)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return "\n".join([f"{self.title} ({len(self)} images)", *(f"  {caption}" for caption in self.captions)])

    def _repr_html_(self) -> str:
        figures = "".join(
            f'<figure style="display:inline-block;margin:4px;width:{SIDE}px;vertical-align:top">'
            f'<img width="{SIDE}" alt="{escape(caption)}" src="{_as_uri(image)}" style="image-rendering:auto">'
            f'<figcaption style="font-size:80%;overflow-wrap:anywhere">{escape(caption)}</figcaption></figure>'
            for image, caption in zip(self.images, self.captions, strict=True)
        )
        return f"<p><b>{escape(self.title)}</b></p>{figures or '<p>none</p>'}"


def _as_uri(pixels: np.ndarray) -> str:
    picture = Image.fromarray(pixels)
    picture.thumbnail((2 * SIDE, 2 * SIDE))
    written = io.BytesIO()
    picture.save(written, "PNG")
    return f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode()}"
