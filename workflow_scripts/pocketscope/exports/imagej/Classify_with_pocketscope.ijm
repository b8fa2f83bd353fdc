// Classifies the open image, the selection, each slice of a stack, or a folder with a model of pocketscope, and fills
// the Results table. ImageJ 1.53 or newer, or Fiji: Plugins > Macros > Run..., or keep the folder in "plugins".
// Other macros: runMacro("/.../Classify_with_pocketscope.ijm", "image"), "selection", "stack" or "folder=/a/path/".

requires("1.53f");
var names = newArray(0);
var slices = newArray(0);
var command, model;
var kinds = newArray("image", "selection", "stack", "folder");
var said = newArray("The image", "The selection (the rectangle around it)", "Each slice of the stack", "A folder of files");
what = getArgument();
if (what == "") what = ask();
folder = "";
if (startsWith(what, "folder=")) folder = substring(what, 7);
else if (what == "folder") folder = getDirectory("A folder of images to classify");
else if (what != "image" && what != "selection" && what != "stack")
    exit("pocketscope: \"" + what + "\" is none of image, selection, stack, folder=PATH.");
if (folder == "") check(what);
command = findCommand();
model = findModel();

// What is classified lies in files: for a folder they are there, the rest is written into one of its own.
temporary = "";
if (folder == "") {
    temporary = getDirectory("temp") + "pocketscope-" + d2s(getTime(), 0) + "-" + round(1e6 * random) + File.separator;
    File.makeDirectory(temporary);
    if (!File.exists(temporary)) exit("pocketscope: the folder " + temporary + " cannot be made.");
    writeImages(what, temporary);
    folder = temporary;
} else if (!File.isDirectory(folder)) exit("pocketscope: there is no folder " + folder);
showStatus("pocketscope classifies...");
answers = exec(command, "classify", model, folder, "--json");
if (temporary != "") {
    list = getFileList(temporary);
    for (i = 0; i < list.length; i++) deleted = File.delete(temporary + list[i]);
    deleted = File.delete(temporary);
}
fillTable(split(answers, "\n"));
showStatus("pocketscope: done");

function ask() {
    first = 3;
    if (nImages > 0) {
        first = 0;
        if (nSlices > 1) first = 2;
        if (selectionType() >= 0) first = 1;
    }
    Dialog.create("Classify with pocketscope");
    Dialog.addRadioButtonGroup("Classify", said, 4, 1, said[first]);
    Dialog.addCheckbox("Ask for the model and the command again", false);
    Dialog.show();
    chosen = Dialog.getRadioButton();
    if (Dialog.getCheckbox()) {
        call("ij.Prefs.set", "pocketscope.model", "ask");
        call("ij.Prefs.set", "pocketscope.command", "ask");
    }
    for (i = 0; i < said.length; i++) {
        kind = kinds[i];
        if (said[i] == chosen) return kind;
    }
}

function check(what) {
    if (nImages == 0) exit("pocketscope: no image is open.");
    if (what == "selection" && selectionType() < 0) exit("pocketscope: nothing is selected.");
    getDimensions(width, height, channels, depth, frames);
    if (channels > 1)
        exit("pocketscope: this image has " + channels + " channels. A model knows grey and RGB images: choose Image > Type > RGB Color, or one channel, as it was in the images that the model has learnt.");
}

// The command: what was found before, what the system finds, the usual places; else the user is asked, once.
function findCommand() {
    kept = call("ij.Prefs.get", "pocketscope.command", "");
    if (kept != "ask") {
        if (kept != "") if (runs(kept)) return kept;
        found = newArray("pocketscope");
        home = getDirectory("home");
        if (startsWith(getInfo("os.name"), "Windows")) {
            found = Array.concat(found, home + ".local\\bin\\pocketscope.exe", home + "pocketscope\\.venv\\Scripts\\pocketscope.exe");
        } else {
            // A program that was started from a desktop has another PATH than a terminal: ask the user's shell.
            shell = String.trim(exec("sh", "-c", "\"${SHELL:-sh}\" -lc 'command -v pocketscope' 2>/dev/null"));
            if (startsWith(shell, "/")) found = Array.concat(found, shell);
            found = Array.concat(found, home + ".local/bin/pocketscope", home + "pocketscope/.venv/bin/pocketscope", "/opt/homebrew/bin/pocketscope", "/usr/local/bin/pocketscope");
        }
        for (i = 0; i < found.length; i++) {
            file = found[i];
            if (runs(file)) {
                keep("command", file);
                return file;
            }
        }
    }
    file = File.openDialog("Where is the command pocketscope? (in .venv/bin or .venv\\Scripts)");
    if (!runs(file)) exit("pocketscope: " + file + " is not the command: \"" + file + " --version\" gives no version.");
    keep("command", file);
    return file;
}

function runs(file) {
    return matches(String.trim(exec(file, "--version")), "[0-9]+[.][0-9].*");
}

// The model: the one that the user chose for this macro, else the one beside it; else the user is asked, once.
function findModel() {
    kept = call("ij.Prefs.get", "pocketscope.model", "");
    here = File.getParent(getInfo("macro.filepath")) + File.separator;
    if (startsWith(kept, here + "|")) {
        file = substring(kept, lengthOf(here) + 1);
        if (File.exists(file)) return file;
    }
    files = newArray("model.int8.onnx", "model.fp32.onnx");
    for (i = 0; i < 2; i++) {
        beside = here + files[i];
        if (kept != "ask") if (File.exists(beside)) return beside;
    }
    file = File.openDialog("A model of pocketscope (model.int8.onnx or model.fp32.onnx)");
    keep("model", here + "|" + file);
    return file;
}

function keep(name, value) {
    call("ij.Prefs.set", "pocketscope." + name, value);
}

// PNG keeps 8 and 16 bits and colours, and every installation reads it; 32 bits take TIFF. The open image stays.
function writeImages(what, folder) {
    id = getImageID();
    title = getTitle();
    before = getSliceNumber();
    first = before;
    last = before;
    if (what == "stack") {
        first = 1;
        last = nSlices;
    }
    type = selectionType();
    format = "png";
    if (bitDepth() == 32) format = "tiff";
    setBatchMode(true);
    for (slice = first; slice <= last; slice++) {
        selectImage(id);
        if (nSlices > 1) setSlice(slice);
        if (what != "selection" && type >= 0) run("Select None");
        run("Duplicate...", "title=pocketscope");
        run("Select None");
        saveAs(format, folder + "image" + IJ.pad(slice, 7));
        close();
        if (what != "selection" && type >= 0) {
            selectImage(id);
            run("Restore Selection");
        }
        names = Array.concat(names, title);
        slices = Array.concat(slices, slice);
    }
    selectImage(id);
    if (nSlices > 1) setSlice(before);
    setBatchMode(false);
}

function fillTable(lines) {
    answered = 0;
    for (i = 0; i < lines.length; i++) {
        line = lines[i];
        if (!startsWith(line, "{")) continue;
        path = jsonValue(line, "path");
        problem = jsonValue(line, "problem");
        if (path == "") {
            text = wrapped("pocketscope: " + problem);
            exit(text);
        }
        row = nResults;
        answered++;
        if (i < names.length) {
            setResult("Label", row, names[i]);
            setResult("Slice", row, slices[i]);
        } else setResult("Label", row, File.getName(path));
        text = jsonValue(line, "class");
        setResult("Class", row, text);
        setNumber(row, "Probability", line, "probability");
        text = jsonValue(line, "reliable");
        if (text == "true") text = "yes";
        if (text == "false") text = "no";
        setResult("Reliable", row, text);
        setNumber(row, "Unlike", line, "unlike");
        text = jsonValue(line, "second_class");
        setResult("Second class", row, text);
        setNumber(row, "Second probability", line, "second_probability");
        setResult("Problem", row, problem);
        setProbabilities(row, line);
    }
    if (answered == 0) exit("pocketscope gave no answer. Run in a terminal: " + command + " classify \"" + model + "\" --json");
    setOption("ShowRowNumbers", false);
    updateResults();
}

function wrapped(text) {
    words = split(text, " ");
    lines = "";
    width = 0;
    for (i = 0; i < words.length; i++) {
        if (width > 80) {
            lines = lines + "\n";
            width = 0;
        }
        lines = lines + words[i] + " ";
        width = width + lengthOf(words[i]) + 1;
    }
    return lines;
}

function setNumber(row, column, line, key) {
    text = jsonValue(line, key);
    if (text == "") setResult(column, row, NaN);
    else setResult(column, row, parseFloat(text));
}

function setProbabilities(row, line) {
    at = indexOf(line, ", \"probabilities\": {");
    if (at < 0) return;
    at = at + 19;
    while (substring(line, at, at + 1) != "}") {
        at = indexOf(line, "\"", at);
        end = endOfText(line, at + 1);
        name = unescaped(substring(line, at + 1, end));
        at = end + 3;
        while (indexOf(",}", substring(line, end, end + 1)) < 0) end++;
        setResult("p(" + name + ")", row, parseFloat(substring(line, at, end)));
        at = end;
    }
}

// The value of a key of a JSON object in one line, as text; null is the empty text. Within a text each quotation mark
// has a backslash before it: what is searched for stands in none.
function jsonValue(line, key) {
    at = indexOf(line, ", \"" + key + "\": ");
    if (at < 0) at = indexOf(line, "{\"" + key + "\": ");
    if (at < 0) return "";
    at = indexOf(line, ": ", at) + 2;
    if (substring(line, at, at + 1) == "\"") {
        end = endOfText(line, at + 1);
        text = unescaped(substring(line, at + 1, end));
        return text;
    }
    end = at;
    while (indexOf(",}", substring(line, end, end + 1)) < 0) end++;
    text = substring(line, at, end);
    if (text == "null") return "";
    return text;
}

function endOfText(line, at) {
    while (substring(line, at, at + 1) != "\"") {
        if (substring(line, at, at + 1) == "\\") at++;
        at++;
    }
    return at;
}

function unescaped(text) {
    if (indexOf(text, "\\") < 0) return text;
    plain = "";
    for (i_ = 0; i_ < lengthOf(text); i_++) {
        one = substring(text, i_, i_ + 1);
        if (one == "\\") {
            i_++;
            one = substring(text, i_, i_ + 1);
            if (one == "u") {
                one = fromCharCode(parseInt(substring(text, i_ + 1, i_ + 5), 16));
                i_ = i_ + 4;
            } else if (indexOf("nrtbf", one) >= 0) one = " ";
        }
        plain = plain + one;
    }
    return plain;
}
