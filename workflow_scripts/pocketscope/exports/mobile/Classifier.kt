package org.pocketscope

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.ColorSpace
import android.graphics.ImageDecoder
import android.net.Uri
import org.json.JSONObject
import org.tensorflow.lite.Interpreter
import java.io.Closeable
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.abs

/** Of one image. [reliable] is null where the model does not say from which probability on its answers are. */
data class Answer(val name: String, val probability: Float, val reliable: Boolean?, val probabilities: FloatArray)

/**
 * A model that `pocketscope export tflite` wrote, in the folder [folder] of the app's assets: NAME.tflite, model.json and
 * self_test. The app's build.gradle: implementation("com.google.ai.edge.litert:litert:1.4.0"); Android 9 (API 28) or newer.
 */
class Classifier(private val context: Context, private val folder: String) : Closeable {
    private val about = JSONObject(asset("model.json").decodeToString())
    private val interpreter = Interpreter(direct(asset(about.getString("name") + ".tflite")))
    private val size = about.getInt("image_size")
    private val resize = about.getString("resize")
    private val reliableFrom = if (about.isNull("reliable_from")) null else about.getDouble("reliable_from")

    val classes = about.getJSONArray("classes").let { names -> List(names.length()) { names.getString(it) } }

    /** Refuses a phone that computes otherwise: call it once, and answer nothing where it throws. */
    fun selfTest() {
        val test = about.getJSONObject("self_test")
        val allowed = test.getDouble("largest_difference")
        val images = test.getJSONObject("images")
        for (path in images.keys()) {
            val expected = images.getJSONArray(path)
            val source = ImageDecoder.createSource(ByteBuffer.wrap(asset(path)))
            val found = answer(decoded(source)).probabilities
            val differs = found.indices.maxOf { abs(found[it] - expected.getDouble(it)) }
            check(differs <= allowed) { "$path: this phone computes otherwise, by $differs" }
        }
    }

    /** What the model says of a photo that the user took or chose. Takes time: not on the main thread. */
    @Throws(IOException::class)
    fun classify(photo: Uri): Answer = answer(decoded(ImageDecoder.createSource(context.contentResolver, photo)))

    private fun answer(bitmap: Bitmap): Answer {
        val pixels = Pixels.toSquare(BitmapPicture(bitmap), size, resize)
        val found = Array(1) { FloatArray(classes.size) }
        interpreter.run(direct(pixels), found)
        val best = found[0].indices.maxBy { found[0][it] }
        return Answer(classes[best], found[0][best], reliableFrom?.let { found[0][best] >= it }, found[0])
    }

    // ImageDecoder turns a photo as its EXIF orientation says. Software: only such a bitmap gives its pixels. The whole
    // photo: setTargetSize would resize it in Android's own way.
    private fun decoded(source: ImageDecoder.Source): Bitmap = ImageDecoder.decodeBitmap(source) { decoder, _, _ ->
        decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
        decoder.setTargetColorSpace(ColorSpace.get(ColorSpace.Named.SRGB))
    }

    private fun asset(name: String): ByteArray = context.assets.open("$folder/$name").use { it.readBytes() }

    private fun direct(bytes: ByteArray): ByteBuffer =
        ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).put(bytes).apply { rewind() }

    override fun close() = interpreter.close()
}

private class BitmapPicture(bitmap: Bitmap) : Picture {
    private val bitmap = if (bitmap.hasAlpha()) onWhite(bitmap) else bitmap
    override val width get() = bitmap.width
    override val height get() = bitmap.height

    override fun read(left: Int, top: Int, width: Int, height: Int) =
        IntArray(width * height).also { bitmap.getPixels(it, 0, width, left, top, width, height) }

    private fun onWhite(bitmap: Bitmap): Bitmap {
        val opaque = Bitmap.createBitmap(bitmap.width, bitmap.height, Bitmap.Config.ARGB_8888)
        Canvas(opaque).apply { drawColor(Color.WHITE) }.drawBitmap(bitmap, 0f, 0f, null)
        return opaque
    }
}
