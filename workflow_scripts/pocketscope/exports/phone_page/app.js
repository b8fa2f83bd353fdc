// The page: starts the runtime, tests itself, and answers. Names of classes and files are text, whatever they hold.
"use strict";

globalThis.app = (() => {
  const MOST_PIXELS = 1e8;
  const LARGE = 8e6; // pixels: where these are not decoded, memory may be why
  const SHOWN = 3; // classes beside the answer
  const MORE = 20; // classes behind "more"
  const EVERY = 400; // ms between two looks through the camera
  const $ = (id) => document.getElementById(id);
  const facts = JSON.parse($("facts").textContent);
  const languages = JSON.parse($("words").textContent);
  const language = (navigator.languages || [navigator.language]).map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in languages) || "en";
  const words = languages[language];
  const results = [];
  let ort = null, session = null, stream = null, queue = Promise.resolve(), running = Promise.resolve();

  class Refusal extends Error {} // its message is a key of the words

  function say(state, key) {
    $("status").dataset.state = state;
    $("status").textContent = words[key];
  }

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  // A name beside other text: letters that run from right to left must not carry that along.
  const named = (text) => element("bdi", text);

  const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
  const breathe = () => new Promise((done) => setTimeout(done));

  function bytesOf(text) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
    return bytes;
  }

  async function unpacked(id) { // and its text leaves the page: memory is short on a phone
    const bytes = bytesOf($(id).textContent);
    $(id).remove();
    return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
  }

  // ---- answers

  async function answer(rgb) {
    const began = performance.now();
    const tensor = new ort.Tensor("uint8", rgb, [1, facts.size, facts.size, 3]);
    const run = running.then(() => session.run({images: tensor})); // one at a time: files and camera may ask at once
    running = run.catch(() => {});
    const output = await run;
    const said = Array.from(output[session.outputNames[0]].data);
    tensor.dispose();
    const largest = Math.max(...said);
    const powers = facts.temperature === 1 ? said : said.map((value) => (value / largest) ** (1 / facts.temperature));
    const total = facts.temperature === 1 ? 1 : powers.reduce((sum, value) => sum + value, 0);
    return {probabilities: powers.map((value) => value / total), ms: performance.now() - began};
  }

  function judged(probabilities, rgb) {
    const order = probabilities.map((_, place) => place).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
    const unlike = facts.familiar ? pixels.unlikeness(rgb, facts.size, facts.familiar) : null;
    const sure = facts.reliable_from === null ? null : facts.reliable_from !== "never" && probabilities[order[0]] >= facts.reliable_from;
    return {order, unlike, reliable: sure === null ? null : sure && !(unlike > 1)};
  }

  const verdict = ({unlike, reliable}) => (unlike > 1 ? "unlike" : reliable === null ? "unknown" : reliable ? "reliable" : "unsure");

  async function look(bitmap, orientation = 1) {
    if (bitmap.width * bitmap.height > MOST_PIXELS) throw new Refusal("large");
    const began = performance.now();
    const rgb = pixels.toSquare(pixels.sourceOf(bitmap, orientation), facts.size, facts.resize);
    const ready = performance.now() - began;
    const {probabilities, ms} = await answer(rgb);
    return {rgb, probabilities, ms, prepared: ready, ...judged(probabilities, rgb)};
  }

  // ---- files

  // Without the colour profile, as in training; upright by what EXIF says.
  async function decoded(blob) {
    try {
      return await createImageBitmap(blob, {imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none"});
    } catch (error) {
      if (error instanceof TypeError) return createImageBitmap(blob); // a browser without these options
      throw error;
    }
  }

  // The orientation that an EXIF block states, where in it that stands, and the two bytes for upright; else null.
  function orientationOf(block) {
    const text = String.fromCharCode(...block.subarray(0, 6));
    const start = text === "Exif\0\0" ? 6 : 0;
    const view = new DataView(block.buffer, block.byteOffset + start, block.byteLength - start);
    const little = view.getUint16(0) === 0x4949;
    const list = view.getUint32(4, little);
    for (let at = list + 2, left = view.getUint16(list, little); left > 0; at += 12, left -= 1) {
      if (view.getUint16(at, little) === 0x112) return {value: view.getUint16(at + 8, little), place: start + at + 8, one: little ? [1, 0] : [0, 1]};
    }
    return null;
  }

  // Browsers turn a JPEG as its EXIF says; of PNG and WebP some do and some do not. So theirs is read here and taken from
  // the browser: the part of a PNG is left out, in that of a WebP "upright" is written.
  async function withoutOrientation(file) {
    const bytes = async (from, to) => new Uint8Array(await file.slice(from, to).arrayBuffer());
    const as = (block, from, to) => String.fromCharCode(...block.subarray(from, to));
    const head = await bytes(0, 12);
    const [isPng, isWebp] = [as(head, 1, 4) === "PNG", as(head, 0, 4) === "RIFF" && as(head, 8, 12) === "WEBP"];
    try {
      for (let at = isPng ? 8 : 12, parts = 0; (isPng || isWebp) && at + 8 < file.size && parts < 64; parts += 1) {
        const part = await bytes(at, at + 8);
        const length = new DataView(part.buffer).getUint32(isPng ? 0 : 4, isWebp);
        const name = isPng ? as(part, 4, 8) : as(part, 0, 4);
        if (name === "IDAT") break;
        const end = at + (isPng ? 12 + length : 8 + length + length % 2);
        if (name === "eXIf" || name === "EXIF") {
          const found = orientationOf(await bytes(at + 8, at + 8 + length));
          if (!found || found.value < 2 || found.value > 8) break;
          if (isPng) return {blob: new Blob([file.slice(0, at), file.slice(end)]), orientation: found.value};
          const place = at + 8 + found.place;
          return {blob: new Blob([file.slice(0, place), new Uint8Array(found.one), file.slice(place + 2)]), orientation: found.value};
        }
        at = end;
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error; // EXIF that ends too early, as that of a JPEG: not turned
    }
    return {blob: file, orientation: 1};
  }

  async function why(file) { // a file cannot be read, or must not be
    const head = new Uint8Array(await file.slice(0, 32).arrayBuffer());
    const text = String.fromCharCode(...head);
    if (text.slice(4, 8) === "ftyp" && /hei[cxms]|hev|mif1|msf1/.test(text.slice(8, 32))) return "heic";
    if (["II*\0", "MM\0*", "II+\0", "MM\0+"].includes(text.slice(0, 4))) return "tiff";
    if (text.slice(1, 4) === "PNG" && head[24] === 16) return "deep";
    return null;
  }

  // The number of pixels that a file says of itself, 0 where it is of no kind that is known here: what is too large is
  // refused before it is decoded, which could end the page on a phone.
  async function size(file) {
    const head = new DataView(await file.slice(0, 2 ** 20).arrayBuffer());
    if (head.byteLength < 32) return 0;
    const text = (from, to) => String.fromCharCode(...new Uint8Array(head.buffer, from, to - from));
    if (text(1, 4) === "PNG") return head.getUint32(16) * head.getUint32(20);
    if (text(0, 4) === "GIF8") return head.getUint16(6, true) * head.getUint16(8, true);
    if (text(0, 2) === "BM") return Math.abs(head.getInt32(18, true) * head.getInt32(22, true)); // upside down: negative
    if (text(8, 12) === "WEBP") {
      const kind = text(12, 16);
      if (kind === "VP8X") return (1 + (head.getUint32(24, true) & 0xffffff)) * (1 + (head.getUint32(26, true) >>> 8));
      if (kind === "VP8L") return (1 + (head.getUint32(21, true) & 0x3fff)) * (1 + ((head.getUint32(21, true) >>> 14) & 0x3fff));
      return (head.getUint16(26, true) & 0x3fff) * (head.getUint16(28, true) & 0x3fff);
    }
    if (text(4, 8) === "ftyp") { // AVIF: each picture and part of one has a box of its own with its sides
      let most = 0;
      for (let at = 8; at + 16 <= Math.min(head.byteLength, 4096); at += 1) {
        if (head.getUint32(at) === 0x69737065) most = Math.max(most, head.getUint32(at + 8) * head.getUint32(at + 12)); // ispe
      }
      return most;
    }
    if (head.getUint16(0) !== 0xffd8) return 0;
    for (let at = 2; at + 9 < head.byteLength && head.getUint8(at) === 0xff; at += 2 + head.getUint16(at + 2)) {
      const marker = head.getUint8(at + 1);
      const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
      if (isFrame) return head.getUint16(at + 5) * head.getUint16(at + 7);
    }
    return 0;
  }

  async function classify(file) {
    const began = performance.now();
    const kind = await why(file);
    let bitmap = null;
    try {
      if (kind === "deep" || kind === "tiff") throw new Refusal(kind);
      const count = await size(file);
      if (count > MOST_PIXELS) throw new Refusal("large");
      const {blob, orientation} = await withoutOrientation(file);
      bitmap = await decoded(blob).catch(() => { throw new Refusal(kind || (count > LARGE ? "heavy" : "unreadable")); });
      const found = await look(bitmap, orientation);
      return {name: file.name, ...found, total: performance.now() - began};
    } catch (error) {
      const key = error instanceof Refusal ? error.message : "memory";
      return {name: file.name, problem: words[key]};
    } finally {
      if (bitmap) bitmap.close();
    }
  }

  function add(files) {
    for (const file of files) {
      queue = queue.then(async () => {
        say("working", "starting");
        $("status").textContent = file.name;
        await breathe();
        keep(await classify(file));
        say("ready", "ready");
      });
    }
    return queue;
  }

  // ---- what is shown

  function picture(rgb) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = facts.size;
    const data = new ImageData(facts.size, facts.size);
    for (let place = 0; place < facts.size ** 2; place += 1) {
      data.data.set(rgb.subarray(3 * place, 3 * place + 3), 4 * place);
      data.data[4 * place + 3] = 255;
    }
    canvas.getContext("2d").putImageData(data, 0, 0);
    canvas.setAttribute("aria-hidden", "true");
    return canvas;
  }

  function meter(place, share) {
    const row = element("div", undefined, "meter");
    const bar = element("i");
    bar.style.setProperty("--share", `${100 * share}%`);
    const name = element("span", facts.classes[place]);
    name.dir = "auto";
    row.append(name, element("b", percent(share)), bar);
    return row;
  }

  function folded(word, inside) {
    const details = element("details");
    details.append(element("summary", words[word]), ...inside);
    return details;
  }

  function card(result) {
    const item = element("li");
    const text = element("div");
    const time = result.problem ? "" : ` · ${Math.round(result.prepared + result.ms)} ms`;
    if (result.problem) {
      text.append(element("p", result.problem, "problem"));
    } else {
      const [best, ...others] = result.order;
      const title = element("h2");
      const name = element("span", facts.classes[best]);
      name.dir = "auto";
      title.append(name, element("b", percent(result.probabilities[best])));
      const judgement = verdict(result);
      const colour = {reliable: "reliable", unknown: "unknown"}[judgement] || "unsure";
      text.append(title, element("p", words[judgement], `verdict ${colour}`));
      const next = others.slice(0, SHOWN - 1).filter((place) => result.probabilities[place] >= 0.0005);
      if (next.length) {
        const line = element("p", "", "others");
        next.forEach((place, at) => line.append(at ? " · " : "", named(facts.classes[place]), ` ${percent(result.probabilities[place])}`));
        text.append(line);
      }
    }
    const file = element("p", "", "file");
    file.append(named(result.name), time);
    text.append(file);
    item.append(result.problem ? element("canvas") : picture(result.rgb), text);
    if (!result.problem) {
      if (facts.classes.length > SHOWN) item.append(folded("all", result.order.slice(0, MORE).map((place) => meter(place, result.probabilities[place]))));
      const shown = facts.examples[result.order[0]];
      if (shown) {
        const row = element("div", undefined, "examples");
        for (const source of shown) {
          const image = element("img");
          image.src = source;
          image.alt = facts.classes[result.order[0]];
          row.append(image);
        }
        item.append(folded("examples", [row]));
      }
    }
    return item;
  }

  function keep(result) {
    $("results").prepend(card(result));
    delete result.rgb;
    results.push(result);
    count();
  }

  function count() {
    $("tools").hidden = !results.length;
    $("count").textContent = results.length === 1 ? words.one : words.count.replace("{n}", results.length);
  }

  function csv() {
    const columns = ["path", "class", "probability", "second_class", "second_probability", "reliable", "unlike", "ms", "problem"];
    const rows = results.map((result) => {
      if (result.problem) return [result.name, "", "", "", "", "", "", "", result.problem, ...facts.classes.map(() => "")];
      const [best, second] = result.order;
      const share = (place) => (place === undefined ? "" : result.probabilities[place].toFixed(4));
      const reliable = result.reliable === null ? "" : result.reliable ? "yes" : "no";
      const unlike = result.unlike === null ? "" : result.unlike.toFixed(2);
      return [
        result.name, facts.classes[best], share(best), second === undefined ? "" : facts.classes[second], share(second), reliable, unlike,
        Math.round(result.prepared + result.ms), "", ...result.probabilities,
      ];
    });
    const cell = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
    return [[...columns, ...facts.classes.map((name) => `p(${name})`)], ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");
  }

  function save() {
    const link = element("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff", csv()], {type: "text/csv"}));
    link.download = "answers.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  // ---- the camera

  async function watch() {
    try {
      stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: "environment"}});
    } catch {
      $("status").textContent = words.camera;
      return;
    }
    const video = document.querySelector("video");
    video.srcObject = stream;
    $("camera").hidden = false;
    $("live").disabled = true;
    await video.play();
    while (stream) {
      if (video.videoWidth) {
        let found = null;
        try {
          const frame = await createImageBitmap(video);
          found = await look(frame).finally(() => frame.close());
        } catch {
          $("status").textContent = words.memory;
          unwatch();
          return;
        }
        const [best] = found.order;
        if (stream) $("seen").replaceChildren(named(facts.classes[best]), ` ${percent(found.probabilities[best])}: ${words[verdict(found)]}`);
        $("keep").onclick = () => keep({name: new Date().toISOString(), ...found});
      }
      await new Promise((done) => setTimeout(done, EVERY));
    }
  }

  function unwatch() {
    if (stream) for (const track of stream.getTracks()) track.stop();
    stream = null;
    $("camera").hidden = true;
    $("live").disabled = false;
    $("seen").textContent = "";
    $("keep").onclick = null;
  }

  // ---- start

  async function load() {
    if (typeof WebAssembly === "undefined") throw new Refusal("no_wasm");
    if (typeof DecompressionStream === "undefined" || typeof createImageBitmap === "undefined") throw new Refusal("old");
    const script = URL.createObjectURL(new Blob([await unpacked("runtime")], {type: "text/javascript"}));
    const loaded = await import(script);
    URL.revokeObjectURL(script);
    ort = loaded.InferenceSession ? loaded : loaded.default;
    Object.assign(ort.env.wasm, {numThreads: 1, proxy: false, wasmBinary: await unpacked("wasm")});
    session = await ort.InferenceSession.create(await unpacked("model"), {executionProviders: ["wasm"]});
    ort.env.wasm.wasmBinary = undefined;
  }

  async function test() { // the whole way: decoding, canvas, resizing, model
    let worst = 0;
    for (const sample of facts.samples) {
      const bitmap = await decoded(new Blob([bytesOf(sample.png)], {type: "image/png"}));
      const {probabilities, order} = await look(bitmap).finally(() => bitmap.close());
      const away = Math.max(...probabilities.map((value, place) => Math.abs(value - sample.probabilities[place])));
      const expected = sample.probabilities.indexOf(Math.max(...sample.probabilities));
      if (!(away <= facts.bound) || order[0] !== expected) throw new Refusal("failed");
      worst = Math.max(worst, away);
    }
    return worst;
  }

  function about() {
    const rows = Object.entries(facts.about).map(([key, value]) => [words[key], value === "never" ? words.never : value]);
    for (const [name, value] of rows) $("about").querySelector("dl").append(element("dt", name), element("dd", value));
  }

  async function start() {
    document.documentElement.lang = language;
    for (const place of document.querySelectorAll("[data-word]")) place.append(words[place.dataset.word]);
    about();
    say("starting", "starting");
    await breathe();
    try {
      await load();
      say("testing", "testing");
      await breathe();
      const worst = await test();
      for (const id of ["take", "choose", "live"]) $(id).disabled = false;
      $("live").hidden = !(navigator.mediaDevices && navigator.mediaDevices.getUserMedia);
      say("ready", "ready");
      return worst;
    } catch (error) {
      const key = error instanceof Refusal ? error.message : error instanceof RangeError || /memory|bad_alloc/i.test(error) ? "memory" : "old";
      say("refused", key);
      if (!(error instanceof Refusal)) $("status").append(element("small", ` (${error})`));
      return null;
    }
  }

  for (const id of ["take", "choose"]) {
    $(id).addEventListener("change", ({target}) => {
      add([...target.files]);
      target.value = ""; // the same file may be chosen again
    });
  }
  $("live").addEventListener("click", watch);
  $("stop").addEventListener("click", unwatch);
  $("csv").addEventListener("click", save);
  $("clear").addEventListener("click", () => {
    results.length = 0;
    $("results").replaceChildren();
    count();
  });
  document.addEventListener("visibilitychange", () => document.hidden && unwatch());
  if (facts.installable && "serviceWorker" in navigator && location.protocol.startsWith("http")) navigator.serviceWorker.register("sw.js");

  return {ready: start(), classify, keep, results, csv, words};
})();
