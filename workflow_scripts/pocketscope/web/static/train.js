// The wizard: three choices, more behind them, the configuration as text; and what runs.

import { html, useEffect, useState } from "./vendor/htm-preact-3.1.1.js";
import { postOnce } from "./api.js";
import { say, state } from "./store.js";

const PRESETS = {
  quick: ["Quick look", "A linear head on a pretrained network that stays as it is. The quickest: is the task learnable, and where does it err?"],
  recommended: ["Recommended", "Supervised training and distillation: two teachers label the rest, a compact student learns from all of it. The better one ships."],
  full: ["Full comparison", "Every process of the two studies, compared by tests. Hours on a laptop."],
};
const VIEWS = ["identity", "horizontal_flip", "vertical_flip", "both_flips", "box_blur", "gaussian_blur", "gamma"];
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
  const toggled = (list, one) => (list.includes(one) ? list.filter((other) => other !== one) : [...list, one]);
  return html`<div class="page">
    <${Running} />
    <h2>Train</h2>
    <fieldset disabled=${busy}><legend class="soft">What kind of study?</legend>
      <div class="cards">${Object.entries(PRESETS).map(([key, [name, what]]) => html`<label class=${`card${choice.preset === key ? " on" : ""}`}>
        <input type="radio" name="preset" checked=${choice.preset === key} onChange=${() => set({ preset: key, processes: undefined })} /> <b>${name}</b><span>${what}</span></label>`)}</div>
      <p>Does a mirrored image show the same? ${[["horizontal_flip", "left-right"], ["vertical_flip", "upside down"], ["quarter_turn", "turned by 90°"]].map(([key, name]) => html`
        <label class="inline"><input type="checkbox" checked=${choice.symmetries.includes(key)} onChange=${() => set({ symmetries: toggled(choice.symmetries, key) })} /> ${name}</label>`)}
        <span class="soft small">Not for letters, hands or chest X-rays.</span></p>
      <details><summary>More</summary>
        <p>Processes: ${Object.entries(state.asked.processes).map(([key, what]) => html`<label class="line"><input type="checkbox" checked=${processes.includes(key)} disabled=${processes.length === 1 && processes[0] === key} onChange=${() => set({ processes: toggled(processes, key) })} /> <b>${key}</b>: ${what}</label>`)}</p>
        <label class="line">Image size, pixels <select onChange=${(event) => set({ image_size: Number(event.target.value) })}>${SIZES.map((size) => html`<option value=${size} selected=${size === choice.image_size}>${size}</option>`)}</select> <span class="soft small">Time grows with its square.</span></label>
        <label class="line">Rounds <input type="number" min="1" max="20" value=${choice.rounds || 1} onChange=${(event) => set({ rounds: whole(event) })} /> <span class="soft small">Teachers label again with what students learnt; a second round rarely pays.</span></label>
        <label class="line">Seeds <input type="number" min="1" max="10" value=${choice.seeds || 1} onChange=${(event) => set({ seeds: whole(event) })} /> <span class="soft small">Three or more show how much trainings vary, at three times the time.</span></label>
        <label class="line">Steps <input type="number" min="10" max="100000" placeholder="default" value=${choice.steps || ""} onChange=${(event) => set({ steps: whole(event) })} /> <span class="soft small">Of each training. 50 save time, and lose a few points.</span></label>
        <label class="line">Threshold <input type="number" min="0.05" max="0.99" step="0.05" placeholder="default" value=${choice.threshold || ""} onChange=${(event) => set({ threshold: Number(event.target.value) || undefined })} /> <span class="soft small">How sure teachers must be for a label to be learnt.</span></label>
        <p>Views of teachers: ${VIEWS.map((one) => html`<label class="inline"><input type="checkbox" checked=${(choice.views || VIEWS).includes(one)} onChange=${() => set({ views: toggled(choice.views || VIEWS, one) })} /> ${one.replaceAll("_", " ")}</label>`)}</p>
        <label class="line">What belongs together <input placeholder="folder, or a pattern such as <group>_s#" value=${choice.group || ""} onChange=${(event) => set({ group: event.target.value.trim() || undefined })} /> <span class="soft small">Patients, slides, plates: never learnt from and tested on both.</span></label>
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
  const what = run.kind === "features" ? "Looking at the images" : "The study";
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
