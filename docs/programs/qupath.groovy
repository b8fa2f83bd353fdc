// Classifies the selected objects in QuPath, or all detections where none is selected, by `pocketscope classify --json`:
// each gets the class, and its probability as a measurement. Set the first lines, and run it in the script editor.

import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import qupath.lib.regions.RegionRequest

def command = "pocketscope"          // or its path: /home/me/pocketscope/.venv/bin/pocketscope
def model = "/models/model.fp32.onnx"
def downsample = 1.0                 // as the images that the model has learnt: 1 is full resolution
def around = 0                       // pixels of surroundings, at full resolution
def unsure = null                    // the class of answers that are not reliable, such as "not sure"; null: theirs

def server = getCurrentServer()
def objects = getSelectedObjects() ?: getDetectionObjects()
def process = new ProcessBuilder(command, "classify", model, "--json", "-").redirectError(ProcessBuilder.Redirect.INHERIT).start()
def input = process.outputStream.newWriter("UTF-8")
def output = process.inputStream.newReader("UTF-8")
def file = File.createTempFile("pocketscope", ".png")
def problems = 0
try {
    for (object in objects) {
        def roi = object.getROI()
        int left = Math.max(0, Math.floor(roi.boundsX) - around)
        int top = Math.max(0, Math.floor(roi.boundsY) - around)
        int right = Math.min(server.width, Math.ceil(roi.boundsX + roi.boundsWidth) + around)
        int bottom = Math.min(server.height, Math.ceil(roi.boundsY + roi.boundsHeight) + around)
        def region = RegionRequest.createInstance(server.path, downsample, left, top, right - left, bottom - top)
        writeImageRegion(server, region, file.path)
        input << JsonOutput.toJson([path: file.path]) << "\n"
        input.flush()
        def line = output.readLine()
        if (line == null) throw new IllegalStateException("pocketscope has ended, exit code ${process.waitFor()}")
        def answer = new JsonSlurper().parseText(line)
        if (answer.problem) {
            println "${object}: ${answer.problem}"
            problems += 1
            continue
        }
        def sure = answer.reliable != false
        object.setPathClass(getPathClass(sure || unsure == null ? answer["class"] : unsure))
        object.measurements["pocketscope: probability"] = answer.probability
        if (answer.reliable != null) object.measurements["pocketscope: reliable"] = sure ? 1.0 : 0.0
    }
} finally {
    input.close()
    process.waitFor()
    file.delete()
}
fireHierarchyUpdate()
println "${objects.size() - problems} of ${objects.size()} objects classified"
