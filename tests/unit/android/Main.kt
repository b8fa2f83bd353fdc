import android.content.ContentResolver
import android.content.Context
import android.content.res.AssetManager
import android.net.Uri
import java.io.File
import org.json.JSONObject
import org.pocketscope.Classifier

private object App : Context() {
    override fun getAssets() = AssetManager()

    override fun getContentResolver() = object : ContentResolver() {}
}

private class Path(private val path: String) : Uri() {
    override fun toString() = path
}

/** Print what an app would show: whether the self-test passes, and a line of JSON for each photo. */
fun main(arguments: Array<String>) {
    Classifier(App, arguments[0]).use { classifier ->
        println(runCatching { classifier.selfTest() }.fold({ "passed" }, { it.message }))
        for (path in File(arguments[1]).readLines()) {
            val answer = classifier.classify(Path(path))
            val shown = mapOf("name" to answer.name, "probability" to answer.probability.toDouble(),
                "reliable" to (answer.reliable ?: JSONObject.NULL),
                "probabilities" to answer.probabilities.map { it.toDouble() })
            println(JSONObject(shown))
        }
    }
}
