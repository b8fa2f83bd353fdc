package org.pocketscope

import kotlin.math.abs
import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/**
 * From a decoded picture to the pixels that the network has learnt: bilinear with a support that grows with the reduction,
 * after whole blocks were averaged where an image shrinks much, as Pillow 13 does it. Android's own resizing differs by
 * tens of grey levels. Plain Kotlin, so that it can be tested without a phone.
 */
interface Picture {
    val width: Int
    val height: Int

    /** The pixels of a part, row by row, as 0xAARRGGBB; what is transparent lies on white already. */
    fun read(left: Int, top: Int, width: Int, height: Int): IntArray
}

object Pixels {
    private const val GAP = 3.0 // Pillow's reducing_gap
    private const val BITS = 22 // of the fixed point that Pillow's weights are in

    private class Levels(val width: Int, val height: Int, val data: ByteArray)

    private class Weights(val first: Int, val weights: IntArray)

    /** RGB of size x size, row by row. [how] is `resize` of model.json: stretch, crop or pad. */
    fun toSquare(picture: Picture, size: Int, how: String): ByteArray {
        val width = picture.width.toDouble()
        val height = picture.height.toDouble()
        when (how) {
            "stretch" -> return resized(picture, size, size, doubleArrayOf(0.0, 0.0, width, height)).data
            "crop" -> {
                val side = min(width, height)
                val left = (width - side) / 2
                val top = (height - side) / 2
                return resized(picture, size, size, doubleArrayOf(left, top, left + side, top + side)).data
            }
            "pad" -> {
                val longer = max(width, height)
                val across = max(1, Math.rint(width * size / longer).toInt())
                val down = max(1, Math.rint(height * size / longer).toInt())
                val left = (size - across) / 2
                val top = (size - down) / 2
                val small = resized(picture, across, down, doubleArrayOf(0.0, 0.0, width, height)).data
                val result = ByteArray(size * size * 3)
                for (y in 0 until down) {
                    small.copyInto(result, ((top + y) * size + left) * 3, y * across * 3, (y + 1) * across * 3)
                }
                return result
            }
            else -> throw IllegalArgumentException("resize '$how' is none of stretch, crop, pad")
        }
    }

    private fun resized(picture: Picture, width: Int, height: Int, box: DoubleArray): Levels {
        val wide = (box[2] - box[0]) / width
        val tall = (box[3] - box[1]) / height
        val factorX = max(1, (wide / GAP).toInt())
        val factorY = max(1, (tall / GAP).toInt())
        var part = intArrayOf(0, 0, picture.width, picture.height)
        if (factorX > 1 || factorY > 1) {
            part = intArrayOf(
                max(0, (box[0] - 0.5 * wide).toInt()),
                max(0, (box[1] - 0.5 * tall).toInt()),
                min(picture.width, ceil(box[2] + 0.5 * wide).toInt()),
                min(picture.height, ceil(box[3] + 0.5 * tall).toInt()),
            )
        }
        val image = reduced(picture, part, factorX, factorY)
        val left = ((box[0] - part[0]) / factorX).toFloat()
        val top = ((box[1] - part[1]) / factorY).toFloat()
        val right = ((box[2] - part[0]) / factorX).toFloat()
        val bottom = ((box[3] - part[1]) / factorY).toFloat()
        // Each pass rounds to whole levels, so that their order matters by one.
        return if (image.height > height && image.height - height > 2 * (image.width - width)) {
            across(down(image, top, bottom, height), left, right, width)
        } else {
            down(across(image, left, right, width), top, bottom, height)
        }
    }

    /** Averages blocks of a part, read in strips: 48 megapixels never lie in memory twice. */
    private fun reduced(picture: Picture, part: IntArray, factorX: Int, factorY: Int): Levels {
        val wide = part[2] - part[0]
        val width = (wide + factorX - 1) / factorX
        val height = (part[3] - part[1] + factorY - 1) / factorY
        val data = ByteArray(width * height * 3)
        val step = factorY * max(1, (1 shl 20) / max(1, wide * factorY))
        for (from in part[1] until part[3] step step) {
            val rows = min(step, part[3] - from)
            val strip = picture.read(part[0], from, wide, rows)
            for (y in 0 until (rows + factorY - 1) / factorY) {
                val tall = min(factorY, rows - y * factorY)
                for (x in 0 until width) {
                    val broad = min(factorX, wide - x * factorX)
                    val count = broad.toLong() * tall
                    val multiplier = (1L shl 32) / (256 * count) // Pillow divides so
                    var red = count / 2
                    var green = red
                    var blue = red
                    for (v in 0 until tall) {
                        var at = (y * factorY + v) * wide + x * factorX
                        for (u in 0 until broad) {
                            val colour = strip[at]
                            red += colour shr 16 and 255
                            green += colour shr 8 and 255
                            blue += colour and 255
                            at += 1
                        }
                    }
                    val to = (((from - part[1]) / factorY + y) * width + x) * 3
                    data[to] = (red * multiplier shr 24).toByte()
                    data[to + 1] = (green * multiplier shr 24).toByte()
                    data[to + 2] = (blue * multiplier shr 24).toByte()
                }
            }
        }
        return Levels(width, height, data)
    }

    private fun weightsOf(length: Int, from: Float, to: Float, size: Int): List<Weights> {
        val scale = (to - from).toDouble() / size // Pillow's boxes are of single precision
        val filterScale = max(scale, 1.0)
        return List(size) { at ->
            val centre = from + (at + 0.5) * scale
            val first = max(0, (centre - filterScale + 0.5).toInt())
            val end = min(length, (centre + filterScale + 0.5).toInt())
            val exact = DoubleArray(end - first) {
                val away = abs((first + it - centre + 0.5) * (1 / filterScale))
                if (away < 1) 1 - away else 0.0
            }
            val total = exact.sum()
            Weights(first, IntArray(exact.size) {
                val share = if (total != 0.0) exact[it] / total else exact[it]
                floor(0.5 + share * (1 shl BITS)).toInt()
            })
        }
    }

    private fun across(image: Levels, from: Float, to: Float, width: Int): Levels {
        val taken = weightsOf(image.width, from, to, width)
        val data = ByteArray(width * image.height * 3)
        for (y in 0 until image.height) {
            for (x in 0 until width) {
                for (colour in 0 until 3) {
                    var total = 1 shl (BITS - 1)
                    var at = (y * image.width + taken[x].first) * 3 + colour
                    for (weight in taken[x].weights) {
                        total += (image.data[at].toInt() and 255) * weight
                        at += 3
                    }
                    data[(y * width + x) * 3 + colour] = (total shr BITS).coerceIn(0, 255).toByte()
                }
            }
        }
        return Levels(width, image.height, data)
    }

    private fun down(image: Levels, from: Float, to: Float, height: Int): Levels {
        val taken = weightsOf(image.height, from, to, height)
        val row = image.width * 3
        val data = ByteArray(row * height)
        for (y in 0 until height) {
            for (x in 0 until row) {
                var total = 1 shl (BITS - 1)
                var at = taken[y].first * row + x
                for (weight in taken[y].weights) {
                    total += (image.data[at].toInt() and 255) * weight
                    at += row
                }
                data[y * row + x] = (total shr BITS).coerceIn(0, 255).toByte()
            }
        }
        return Levels(image.width, height, data)
    }
}
