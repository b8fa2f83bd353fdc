// From a decoded picture to the pixels that the network sees, as pocketscope's images/resize.py makes them with Pillow:
// bilinear with a support that grows with the reduction, after whole blocks were averaged where an image shrinks much.
// A canvas is drawn on to get at pixels, and never to resize: its own resizing differs by up to 132 grey levels.
"use strict";

globalThis.pixels = (() => {
  const GAP = 3; // Pillow's reducing_gap
  const BITS = 22; // of the fixed point that Pillow's weights are in

  const clamp = (value) => (value < 0 ? 0 : value > 255 ? 255 : value);

  function round(value) { // as Python: halves to the even number
    const floor = Math.floor(value);
    const rest = value - floor;
    if (rest !== 0.5) return Math.round(value);
    return floor % 2 ? floor + 1 : floor;
  }

  // The weights of each output pixel along one axis.
  function weightsOf(length, from, to, size) {
    const scale = Math.fround(to - from) / size; // Pillow's boxes are of single precision
    const filterScale = Math.max(scale, 1);
    const found = [];
    for (let at = 0; at < size; at += 1) {
      const centre = from + (at + 0.5) * scale;
      const first = Math.max(0, Math.trunc(centre - filterScale + 0.5));
      const end = Math.min(length, Math.trunc(centre + filterScale + 0.5));
      const exact = [];
      let total = 0;
      for (let place = first; place < end; place += 1) {
        const away = Math.abs((place - centre + 0.5) * (1 / filterScale));
        const weight = away < 1 ? 1 - away : 0;
        exact.push(weight);
        total += weight;
      }
      found.push({first, weights: exact.map((weight) => Math.trunc(0.5 + (total ? weight / total : weight) * (1 << BITS)))});
    }
    return found;
  }

  function across(image, from, to, width) {
    const half = 1 << (BITS - 1);
    const taken = weightsOf(image.width, from, to, width);
    const data = new Uint8Array(width * image.height * 3);
    for (let y = 0; y < image.height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const {first, weights} = taken[x];
        let [red, green, blue] = [half, half, half];
        for (let k = 0, at = (y * image.width + first) * 3; k < weights.length; k += 1, at += 3) {
          red += image.data[at] * weights[k];
          green += image.data[at + 1] * weights[k];
          blue += image.data[at + 2] * weights[k];
        }
        const place = (y * width + x) * 3;
        data[place] = clamp(red >> BITS);
        data[place + 1] = clamp(green >> BITS);
        data[place + 2] = clamp(blue >> BITS);
      }
    }
    return {width, height: image.height, data};
  }

  function down(image, from, to, height) {
    const half = 1 << (BITS - 1);
    const taken = weightsOf(image.height, from, to, height);
    const row = image.width * 3;
    const data = new Uint8Array(row * height);
    for (let y = 0; y < height; y += 1) {
      const {first, weights} = taken[y];
      for (let x = 0; x < row; x += 1) {
        let total = half;
        for (let k = 0, at = first * row + x; k < weights.length; k += 1, at += row) total += image.data[at] * weights[k];
        data[y * row + x] = clamp(total >> BITS);
      }
    }
    return {width: image.width, height, data};
  }

  // Each pass rounds to whole levels, so that their order matters by one: Pillow 13 begins with the height where that
  // shrinks much more than the width, older versions never do.
  function resample(image, [left, top, right, bottom], width, height) {
    if (image.height > height && image.height - height > 2 * (image.width - width)) {
      return across(down(image, top, bottom, height), left, right, width);
    }
    return down(across(image, left, right, width), top, bottom, height);
  }

  // Average blocks of a part of the source, read in strips: 48 megapixels never lie in memory twice.
  function reduced(source, part, factorX, factorY) {
    const [left, top, right, bottom] = part;
    const wide = right - left;
    const width = Math.ceil(wide / factorX);
    const height = Math.ceil((bottom - top) / factorY);
    const data = new Uint8Array(width * height * 3);
    const step = factorY * Math.max(1, Math.floor(2 ** 20 / Math.max(1, wide * factorY)));
    for (let from = top; from < bottom; from += step) {
      const rows = Math.min(step, bottom - from);
      const strip = source.read(left, from, wide, rows); // RGBA
      for (let y = 0; y * factorY < rows; y += 1) {
        const tall = Math.min(factorY, rows - y * factorY);
        for (let x = 0; x < width; x += 1) {
          const broad = Math.min(factorX, wide - x * factorX);
          const count = broad * tall;
          const multiplier = Math.trunc(2 ** 32 / (256 * count)); // Pillow divides so
          const amend = Math.trunc(count / 2);
          let [red, green, blue] = [amend, amend, amend];
          for (let v = 0; v < tall; v += 1) {
            let at = ((y * factorY + v) * wide + x * factorX) * 4;
            for (let u = 0; u < broad; u += 1, at += 4) {
              red += strip[at];
              green += strip[at + 1];
              blue += strip[at + 2];
            }
          }
          const to = (((from - top) / factorY + y) * width + x) * 3;
          data[to] = Math.floor(red * multiplier / 2 ** 24);
          data[to + 1] = Math.floor(green * multiplier / 2 ** 24);
          data[to + 2] = Math.floor(blue * multiplier / 2 ** 24);
        }
      }
    }
    return {width, height, data};
  }

  function resized(source, width, height, box) {
    const factorX = Math.max(1, Math.trunc((box[2] - box[0]) / width / GAP));
    const factorY = Math.max(1, Math.trunc((box[3] - box[1]) / height / GAP));
    const around = [0.5 * (box[2] - box[0]) / width, 0.5 * (box[3] - box[1]) / height];
    let part = [0, 0, source.width, source.height];
    if (factorX > 1 || factorY > 1) {
      part = [
        Math.max(0, Math.trunc(box[0] - around[0])), Math.max(0, Math.trunc(box[1] - around[1])),
        Math.min(source.width, Math.ceil(box[2] + around[0])), Math.min(source.height, Math.ceil(box[3] + around[1])),
      ];
    }
    const image = reduced(source, part, factorX, factorY);
    const inside = [
      (box[0] - part[0]) / factorX, (box[1] - part[1]) / factorY,
      (box[2] - part[0]) / factorX, (box[3] - part[1]) / factorY,
    ].map(Math.fround);
    return resample(image, inside, width, height);
  }

  // source: {width, height, read(left, top, width, height) -> RGBA}; returns RGB of size x size.
  function toSquare(source, size, how) {
    const {width, height} = source;
    if (how === "stretch") return resized(source, size, size, [0, 0, width, height]).data;
    if (how === "crop") {
      const side = Math.min(width, height);
      const [left, top] = [(width - side) / 2, (height - side) / 2];
      return resized(source, size, size, [left, top, left + side, top + side]).data;
    }
    const longer = Math.max(width, height);
    const inner = [Math.max(1, round(width * size / longer)), Math.max(1, round(height * size / longer))];
    const left = Math.floor((size - inner[0]) / 2);
    const top = Math.floor((size - inner[1]) / 2);
    const small = resized(source, inner[0], inner[1], [0, 0, width, height]);
    const result = new Uint8Array(size * size * 3);
    for (let y = 0; y < inner[1]; y += 1) {
      result.set(small.data.subarray(y * inner[0] * 3, (y + 1) * inner[0] * 3), ((top + y) * size + left) * 3);
    }
    return result;
  }

  // How unlike the images that the model has learnt an image is: pocketscope's images/familiarity.py.
  function unlikeness(image, size, familiar) {
    const count = size * size;
    const mean = [0, 0, 0], squares = [0, 0, 0];
    const grey = new Float64Array(count);
    const colours = new Set();
    let saturation = 0, extremes = 0, brightness = 0;
    for (let place = 0; place < count; place += 1) {
      const rgb = [image[3 * place] / 255, image[3 * place + 1] / 255, image[3 * place + 2] / 255];
      for (let c = 0; c < 3; c += 1) mean[c] += rgb[c] / count;
      saturation += (Math.max(...rgb) - Math.min(...rgb)) / count;
      grey[place] = (rgb[0] + rgb[1] + rgb[2]) / 3;
      brightness += grey[place] / count;
      if (grey[place] < 0.02 || grey[place] > 0.98) extremes += 1 / count;
      colours.add((image[3 * place] >> 4) << 8 | (image[3 * place + 1] >> 4) << 4 | image[3 * place + 2] >> 4);
    }
    for (let place = 0; place < count; place += 1) {
      for (let c = 0; c < 3; c += 1) squares[c] += (image[3 * place + c] / 255 - mean[c]) ** 2 / count;
    }
    let across = 0, down = 0, second = 0, middle = 0;
    const low = Math.floor(size / 4), high = Math.ceil(3 * size / 4);
    for (let y = 0; y < size; y += 1) {
      for (let x = 0; x < size; x += 1) {
        const at = y * size + x;
        if (x + 1 < size) across += Math.abs(grey[at + 1] - grey[at]) / (size * (size - 1));
        if (y + 1 < size) down += Math.abs(grey[at + size] - grey[at]) / (size * (size - 1));
        if (y + 2 < size) second += Math.abs(grey[at + 2 * size] - 2 * grey[at + size] + grey[at]) / (size * (size - 2));
        if (x >= low && x < high && y >= low && y < high) middle += grey[at] / (high - low) ** 2;
      }
    }
    const found = [
      ...mean, ...squares.map(Math.sqrt), saturation, Math.log(colours.size), Math.log(1e-3 + down + across),
      Math.log(1e-3 + second), extremes, middle - brightness,
    ];
    const away = found.map((value, i) => (value - familiar.mean[i]) / familiar.scale[i]);
    const distance = away.reduce((sum, a, i) => sum + away.reduce((row, b, j) => row + a * familiar.precision[i][j] * b, 0), 0);
    return Math.sqrt(Math.max(distance, 0) / familiar.limit);
  }

  // What can be read from a decoded picture, strip by strip, on white; browsers limit the size of a canvas. The
  // orientation is one that is still to be applied, as images/pixels.py applies it.
  function sourceOf(bitmap, orientation = 1) {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", {willReadFrequently: true, colorSpace: "srgb"});
    const [swapped, upsideDown, mirrored] = [[5, 6, 7, 8], [3, 4, 7, 8], [2, 3, 6, 7]].map((these) => these.includes(orientation));
    const [wide, high] = swapped ? [bitmap.height, bitmap.width] : [bitmap.width, bitmap.height];

    function stored(left, top, width, height) {
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
      context.imageSmoothingEnabled = false;
      context.fillStyle = "#fff";
      context.fillRect(0, 0, width, height);
      context.drawImage(bitmap, left, top, width, height, 0, 0, width, height);
      return context.getImageData(0, 0, width, height).data;
    }

    function read(left, top, width, height) {
      if (orientation === 1) return stored(left, top, width, height);
      const [x0, y0] = [mirrored ? wide - left - width : left, upsideDown ? high - top - height : top];
      const from = new Uint32Array((swapped ? stored(y0, x0, height, width) : stored(x0, y0, width, height)).buffer);
      const turned = new Uint32Array(from.length);
      for (let y = 0; y < height; y += 1) {
        const row = upsideDown ? height - 1 - y : y;
        for (let x = 0; x < width; x += 1) {
          const column = mirrored ? width - 1 - x : x;
          turned[y * width + x] = from[swapped ? column * height + row : row * width + column];
        }
      }
      return new Uint8ClampedArray(turned.buffer);
    }

    return {width: wide, height: high, read};
  }

  return {toSquare, unlikeness, sourceOf};
})();
