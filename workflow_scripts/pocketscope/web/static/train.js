// The wizard: three choices, more behind them, the configuration as text; and what runs.

import { html, useEffect, useState } from "./vendor/htm-preact-3.1.1.js";
import { postOnce } from "./api.js";
import { say, state } from "./store.js";

const PRESETS = {
  quick: ["Quick look", "A ready-made network stays as it is, and only its last step learns your labels. In a minute or two: can your categories be told apart, and which images are mistaken?"],
  recommended: ["Recommended", "A compact network learns your labels; another one also learns from your other images, which two networks label first. The better of the two is what you get."],
  full: ["Full comparison", "Eight ways to learn from your labels and your other images, compared by statistical tests. Hours on a laptop."],
};
const VIEWS = {
  identity: "as it is", horizontal_flip: "mirrored left-right", vertical_flip: "mirrored upside down", both_flips: "turned by 180°",
  box_blur: "blurred a little", gaussian_blur: "blurred softly", gamma: "darker",
};
const SIZES = [64, 96, 128, 160, 224];
const BEGIN = { preset: "recommended", image_size: 128, symmetries: ["horizontal_flip", "vertical_flip"] };

export function Train() {
  const [choice, setChoice] = useState(() => ({ ...BEGIN, ...clean(state.asked.choice || {}) }));
  const [text, setText] = useState("");
  const [cost, setCost] = useState(null);
  const set = (about) => setChoice(clean({ ...choice, ...about }));
  useEffect(() => {
    postOnce("/api/run", { kind: "preview", choice }).then((found) => setText(found.text), (error) => setText(error.message));
  }, [choice]);
  const { run } = state;
  const busy = ["running", "stopping"].includes(run.state);
  useEffect(() => { // after a moment, and again when a probe has ended
    if (busy) return;
    const wait = setTimeout(() => postOnce("/api/run", { kind: "estimate", choice }).then(setCost, () => setCost(null)), 300);
    return () => clearTimeout(wait);
  }, [choice, busy, state.estimated]);
  const start = () => postOnce("/api/run", { kind: "study", choice }).catch((error) => say(error.message, "error"));
  const processes = choice.processes || state.asked.presets[choice.preset];
  const views = choice.views || Object.keys(VIEWS);
  const toggled = (list, one) => (list.includes(one) ? list.filter((other) => other !== one) : [...list, one]);
  return html`<div class="page">
    <${Running} />
    <h2>Train</h2>
    <fieldset disabled=${busy}><legend class="soft">How thoroughly?</legend>
      <div class="cards">${Object.entries(PRESETS).map(([key, [name, what]]) => html`<label class=${`card${choice.preset === key ? " on" : ""}`}>
        <input type="radio" name="preset" checked=${choice.preset === key} onChange=${() => set({ preset: key, processes: undefined })} /> <b>${name}</b><span>${what}</span></label>`)}</div>
      <p>Is an image still of the same category when it is ${[["horizontal_flip", "mirrored left-right"], ["vertical_flip", "mirrored upside down"], ["quarter_turn", "turned by 90°"]].map(([key, name]) => html`
        <label class="inline"><input type="checkbox" checked=${choice.symmetries.includes(key)} onChange=${() => set({ symmetries: toggled(choice.symmetries, key) })} /> ${name}</label>`)}
        <span class="soft small">Cells and pollen: yes. Letters, hands, chest X-rays: no.</span></p>
      <details><summary>More choices</summary>
        <p>Ways to learn; several are compared:${Object.entries(state.asked.processes).map(([key, what]) => html`<label class="line"><input type="checkbox" checked=${processes.includes(key)} disabled=${processes.length === 1 && processes[0] === key} onChange=${() => set({ processes: toggled(processes, key) })} /> <b>${key}</b>: ${what}</label>`)}</p>
        <label class="line">Image size <select onChange=${(event) => set({ image_size: Number(event.target.value) })}>${SIZES.map((size) => html`<option value=${size} selected=${size === choice.image_size}>${size}</option>`)}</select> pixels <span class="soft small">The network sees each image this wide and high. Fine structures need more; twice the size takes four times as long.</span></label>
        <label class="line">Rounds <input type="number" min="1" max="20" value=${choice.rounds || 1} onChange=${(event) => set({ rounds: whole(event) })} /> <span class="soft small">How often teachers label your other images. In a second round they have learnt from the labels of the first; it rarely pays.</span></label>
        <label class="line">Repetitions <input type="number" min="1" max="10" value=${choice.seeds || 1} onChange=${(event) => set({ seeds: whole(event) })} /> <span class="soft small">All is done again with other random numbers: three show how much results differ by chance, and take three times as long.</span></label>
        <label class="line">Steps <input type="number" min="10" max="100000" placeholder="200" value=${choice.steps || ""} onChange=${(event) => set({ steps: whole(event) })} /> <span class="soft small">How long a network learns, for 100 images. 50 save time, and lose a few points.</span></label>
        <label class="line">Sure enough <input type="number" min="0.05" max="0.99" step="0.05" placeholder="0.8" value=${choice.threshold || ""} onChange=${(event) => set({ threshold: Number(event.target.value) || undefined })} /> <span class="soft small">A teacher's label is learnt only if it is given a higher probability than this.</span></label>
        <p>How teachers look at each image, where a way says "several times": ${Object.entries(VIEWS).map(([one, name]) => html`<label class="inline"><input type="checkbox" checked=${views.includes(one)} disabled=${views.length === 1 && views[0] === one} onChange=${() => set({ views: toggled(views, one) })} /> ${name}</label>`)}</p>
        <label class="line">What belongs together <input placeholder="folder, or <group>_s#" value=${choice.group || ""} onChange=${(event) => set({ group: event.target.value.trim() || undefined })} /> <span class="soft small">Images of one patient, slide or plate: either all of them are learnt from, or all of them test. Write the word folder if each has a folder of its own, or how their names are made: in ${"<group>_s#"} all before "_s" and a number belongs together.</span></label>
      </details>
      <p class="start"><button class="main" onClick=${start}>Start</button> <span class="soft" role="status">${costInWords(cost)}</span></p>
    </fieldset>
    <p><a class="button" href=${`/take/study.zip?choice=${encodeURIComponent(JSON.stringify(choice))}`} download>Take it elsewhere</a> <span class="small soft">One archive for a cluster, another computer or Google Colab: images, labels, configuration and notebooks.</span></p>
    <details><summary>The configuration file</summary><p class="small soft">An ordinary file; it runs without the desk, on a cluster too.</p><pre class="text">${text}</pre></details>
  </div>`;
}

function costInWords(cost) {
  if (!cost || cost.minutes === null) return cost?.probing ? "Measuring how fast this machine trains: up to two minutes ..." : "";
  const from = cost.by === "earlier" ? "earlier trainings here" : "a short probe";
  return `About ${time(60 * cost.minutes)} on this machine: an estimate, from ${from}.`;
}

const whole = (event) => Math.round(Number(event.target.value)) || undefined;

function clean(choice) {
  return Object.fromEntries(Object.entries(choice).filter(([, value]) => value !== undefined && value !== null));
}

export function Running() {
  const { run } = state;
  if (run.state === "idle") return "";
  const busy = ["running", "stopping"].includes(run.state);
  const stop = () => postOnce("/api/run", { kind: "stop" }).catch((error) => say(error.message, "error"));
  const what = { features: "Looking at the images", report: "The report" }[run.kind] || "The study";
  return html`<section class=${`run ${run.state}`} aria-live="polite">
    <h2>${what} ${{ running: "is running", stopping: "is being stopped", done: "is done", failed: "failed", stopped: "was stopped" }[run.state]}</h2>
    ${busy && html`<progress max=${run.total || 1} value=${run.total ? run.done : undefined}></progress>
      <p>${run.total ? `${run.done} of ${run.total} jobs done` : "starting"}${run.longer ? "; it takes longer than foreseen" : run.seconds_left !== undefined && run.seconds_left !== null ? `; ${run.at_least ? "more than" : "about"} ${time(run.seconds_left)} left` : ""}.<br />
      ${run.title ? html`Now: ${run.title}${run.progress ? `, ${run.progress.done.toLocaleString()} of ${run.progress.total.toLocaleString()} ${run.progress.unit}${run.progress.images_per_second ? ` (${Math.round(run.progress.images_per_second)} images/s)` : ""}` : ""}` : ""}</p>
      <button onClick=${stop} disabled=${run.state === "stopping"}>Stop</button> <span class="small soft">What is finished stays, and a later start goes on from there. It also goes on if this page or the desk is closed.</span>`}
    ${run.state === "stopped" && html`<p>What is finished stays. Start goes on from there.</p>`}
    ${run.state === "failed" && run.failed && html`<p><b>${run.failed.title}</b></p><pre class="text">${run.failed.lines.join("\n")}</pre>${run.failed.remedy && html`<p>${run.failed.remedy}</p>`}`}
    ${run.warnings?.length > 0 && html`<details><summary>${run.warnings.length === 1 ? "1 warning" : `${run.warnings.length} warnings`}</summary><ul>${run.warnings.map((one) => html`<li>${one}</li>`)}</ul></details>`}
  </section>`;
}

function time(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
