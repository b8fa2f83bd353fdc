// What came out: how good, what is not known, the report, and what to take away.

import { html, useEffect, useState } from "./vendor/htm-preact-3.1.1.js";
import { get, postOnce } from "./api.js";
import { Matrix } from "./matrix.js";
import { readTested, say, state } from "./store.js";
import { Running } from "./train.js";

const ABOUT = {
  "model.fp32.onnx": "the model, in floating point", "model.int8.onnx": "the model, smaller and quicker on phones",
  "answers.csv": "an answer for each image, for spreadsheets", "answers.html": "the answers as a page of pictures, most doubtful first",
  "answers.parquet": "the answers, for programs", "README.md": "the model card: what it is for, how good it is, what is not known",
  "config.yaml": "the configuration; it runs without the desk",
};

export function Results({ onShow, onOpen }) {
  const [found, setFound] = useState(null);
  const [report, setReport] = useState(false);
  useEffect(() => {
    get("/api/results").then(setFound, (error) => setFound({ error: error.message }));
    readTested();
  }, [state.run.state, state.newly]);
  if (!found) return html`<div class="page"><p class="hint">Loading ...</p></div>`;
  const first = (name) => (name === found.recommended ? 0 : name.endsWith(".onnx") ? 1 : name.startsWith("answers") ? 2 : 3);
  const files = Object.entries(found.files || {}).filter(([name]) => name in ABOUT || name.endsWith(".onnx"))
    .sort(([one], [other]) => first(one) - first(other));
  const write = () => postOnce("/api/run", { kind: "report" }).catch((error) => say(error.message, "error"));
  const overall = found.recommendation?.datasets ? Object.values(found.recommendation.datasets)[0] : null;
  return html`<div class="page">
    <${Running} />
    <h2>Results</h2>
    ${found.error && html`<p class="banner" role="alert">${found.error}</p>`}
    ${!overall && !found.report && !found.known ? html`<p class="hint">Nothing yet. Label some images of each category, then train.</p>` : ""}
    ${(overall || found.known) && html`<section class="headline"><p><strong>${overall?.tested?.text || found.known}</strong></p>
      ${found.answered && html`<p>${answered(found.answered)}</p>`}
      <p>${overall ? overall.text : "A quick look: one model, and nothing that it was compared with. The recommended study trains networks on your images, and compares."}</p></section>`}
    ${found.known && !found.report && html`<p><button disabled=${["running", "stopping"].includes(state.run.state)} onClick=${write}>Write the report</button> ${" "}
      <span class="small soft">Some minutes: with intervals, how fast and large the model is, and what was not shown.</span>
      ${state.by_model === "model" && html` <button onClick=${() => onShow("doubt")}>Look at the answers, most doubtful first</button>`}</p>`}
    ${found.report && html`<p><button aria-expanded=${report} onClick=${() => setReport(!report)}>${report ? "Hide the report" : "Show the report"}</button>${" "}
      <a class="button" href="/report/" target="_blank" rel="noopener">Report in a tab of its own</a>
      ${state.by_model === "model" && html` <button onClick=${() => onShow("doubt")}>Look at the answers, most doubtful first</button>`}</p>`}
    ${report && html`<iframe class="report" src="/report/" title="The report" sandbox="allow-scripts allow-popups allow-downloads"></iframe>`}
    <${Matrix} onOpen=${onOpen} />
    ${files.length > 0 && html`<section><h2>Take away</h2><ul class="take">${files.map(([name, bytes]) => html`<li>
      <a class="button" href=${`/take/${encodeURIComponent(name)}`} download>${name}</a> <span>${name === found.recommended ? "recommended: " : ""}${ABOUT[name] || "a model file"}, ${size(bytes)}</span></li>`)}
      <li><a class="button" href="/take/labelled-images.zip" download>labelled-images.zip</a> <span>the images that you labelled, one folder a category</span></li>
      <li><a class="button" href=${`/take/study.zip?choice=${encodeURIComponent(JSON.stringify(state.asked.choice || {}))}`} download>study.zip</a> <span>to run the study elsewhere: images, labels, configuration and notebooks</span></li>
      ${Object.entries(found.exports || {}).map(([kind, said]) => html`<${Exported} kind=${kind} said=${said} />`)}</ul></section>`}
    ${found.card && html`<details><summary>Model card</summary><pre class="text">${found.card}</pre></details>`}
  </div>`;
}

function answered({ images, reliable }) {
  if (!images) return "No image is left that nobody labelled.";
  const have = `${images.toLocaleString()} images that nobody labelled have an answer. `;
  if (!reliable) return `${have}None of these answers is shown to be reliable yet: look at them yourself.`;
  return `${have}${reliable.toLocaleString()} are reliable: labelled images show that at least nine of ten such answers are right. Look at the others yourself.`;
}

// What takes a while is made when it is asked for, and can be taken then.
function Exported({ kind, said }) {
  const [now, setNow] = useState({});
  const make = async () => {
    setNow({ busy: true });
    try {
      setNow({ made: await postOnce("/api/export", { kind }) });
    } catch (error) {
      setNow({ error: error.message });
    }
  };
  return html`<li>${now.made
    ? html`<a class="button" href=${`/take/exports/${now.made.name}`} download>${now.made.name}</a> <span>${said}, ${size(now.made.bytes)}</span>`
    : html`<button disabled=${now.busy} onClick=${make}>${now.busy ? "Making it ..." : `Make ${kind}.zip`}</button> <span>${said}</span>`}
    ${now.error && html`<p class="banner" role="alert">${now.error}</p>`}</li>`;
}

const size = (bytes) => (bytes > 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1e3))} KB`);
