// The categories: add, rename, merge, delete, colour, key; and how many images each has.

import { html, useMemo, useRef, useState } from "./vendor/htm-preact-3.1.1.js";
import { post, sendFile } from "./api.js";
import { change, counts, say, state } from "./store.js";

export const TAKEN = new Set(["z", "a", "l", "x", "0", " "]); // keys that do something else

const MANY = 12; // categories, from which on they scroll by themselves
const GOALS = [10, 25, 50, 100]; // labels per category: what benchmarks speak of

export function Categories({ onLabel, onShow, hasSelection }) {
  const [edited, setEdited] = useState(null);
  const field = useRef(null);
  const found = counts().of;
  const wanted = GOALS.find((goal) => goal > Math.min(...found.values())); // the rarest sets the next goal
  const add = async (event) => {
    event.preventDefault();
    const name = field.current.value.trim();
    if (!name) return;
    if (await change("add", { name })) field.current.value = "";
    else field.current.select(); // what is typed next takes the place of the refused name
  };
  return html`<section class="categories" aria-label="Categories">
    <h2>Categories${wanted && state.categories.length > 1 ? html` <span class="small soft">next goal: ${wanted} of each</span>` : ""}</h2>
    ${!state.categories.length && html`<${Folders} />`}
    ${!state.categories.length && html`<p class="hint">What can be on the images? Add at least two categories, then press their keys to label what is selected.</p>`}
    <ul class=${state.categories.length > MANY ? "many" : ""}>
      ${state.categories.map((one) => html`<li key=${one.id} style=${{ "--colour": one.colour || "#888" }}>
        <button class="use" disabled=${!hasSelection} onClick=${(event) => onLabel(one.id, event)} title=${`Label what is selected: ${one.name}`}>
          <kbd>${one.key || "-"}</kbd><span class="swatch" aria-hidden="true"></span><span class="name">${one.name}</span></button>
        <button class="count" onClick=${() => onShow(one.id)} title=${`Show the images labelled ${one.name}`}
          aria-label=${`${found.get(one.id)} images labelled ${one.name}${wanted ? `, ${wanted} are wanted` : ""}; show them`}>${found.get(one.id).toLocaleString()}</button>
        <button class="edit" aria-expanded=${edited === one.id} aria-label=${`Change ${one.name}`} onClick=${() => setEdited(edited === one.id ? null : one.id)}>…</button>
        ${wanted && html`<progress max=${wanted} value=${Math.min(wanted, found.get(one.id))} aria-hidden="true"></progress>`}
        ${edited === one.id && html`<${Editor} one=${one} count=${found.get(one.id)} close=${() => setEdited(null)} />`}
      </li>`)}
      ${state.categories.length > 0 && html`<li class="clear"><button class="use" disabled=${!hasSelection} onClick=${(event) => onLabel(null, event)} title="Take the label of what is selected away"><kbd>0</kbd><span class="name">No label</span></button></li>`}
    </ul>
    <form onSubmit=${add} class="add">
      <input ref=${field} aria-label="Name of a new category" placeholder="New category" maxlength="200" />
      <button>Add</button>
    </form>
    <${Table} />
  </section>`;
}

function Editor({ one, count, close }) {
  const [asking, setAsking] = useState(false);
  const others = state.categories.filter((other) => other.id !== one.id);
  const rename = async (event) => {
    event.preventDefault();
    const field = event.target.elements.name;
    const name = field.value.trim();
    if (!name || name === one.name) return;
    if (await change("rename", { category: one.id, name })) close();
    else field.select();
  };
  const setKey = (event) => {
    const key = event.target.value.slice(-1).toLowerCase();
    event.target.value = key;
    if (key && !TAKEN.has(key)) change("key", { category: one.id, value: key });
  };
  return html`<div class="editor" onKeyDown=${(event) => { if (event.key === "Escape") close(); }}>
    <form onSubmit=${rename}><label>Name <input name="name" defaultValue=${one.name} maxlength="200" autofocus /></label><button>Rename</button></form>
    <label>Colour <input type="color" value=${one.colour || "#888888"} onChange=${(event) => change("colour", { category: one.id, value: event.target.value })} /></label>
    <label>Key <input class="key" value=${one.key || ""} maxlength="2" onInput=${setKey} aria-description="A digit from 1 to 9, or a letter but A, L, X and Z" /></label>
    ${others.length > 0 && html`<label>Merge into <select onChange=${async (event) => { if (event.target.value && (await change("merge", { category: one.id, into: event.target.value }))) close(); }}>
      <option value="">choose ...</option>${others.map((other) => html`<option value=${other.id}>${other.name}</option>`)}</select></label>`}
    ${asking
      ? html`<p role="alert">Delete ${one.name}? ${count ? `Its ${count} images become unlabelled. ` : ""}Z brings all of it back.
          <button class="danger" onClick=${() => change("delete", { category: one.id })}>Delete</button> <button onClick=${() => setAsking(false)}>Keep</button></p>`
      : html`<button class="danger" onClick=${() => setAsking(true)}>Delete</button>`}
  </div>`;
}

// Labels from elsewhere: a table with the columns path and label.
function Table() {
  const [busy, setBusy] = useState(false);
  const take = async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    setBusy(true);
    try {
      const found = await sendFile("/api/take-table", file);
      say([`${found.new.toLocaleString()} labels taken from ${file.name}${found.known ? `, ${found.known.toLocaleString()} known already` : ""}.`, ...found.remarks].join(" "), found.remarks.length ? "error" : "done");
    } catch (error) { say(error.message, "error"); }
    setBusy(false);
    event.target.value = ""; // the same file may be chosen again, corrected
  };
  return html`<label class="file small">${busy ? "Reading ..." : "Take labels from a table (CSV)"}
    <input type="file" accept=".csv,.tsv,.txt,.parquet,.pq" disabled=${busy} onChange=${take} aria-description="With the columns path and label" /></label>`;
}

function foldersInside() {
  const inside = new Map();
  for (const path of state.images) {
    const slash = path.indexOf("/");
    if (slash > 0) inside.set(path.slice(0, slash), (inside.get(path.slice(0, slash)) || 0) + 1);
  }
  return inside;
}

// The folders inside may be categories already.
function Folders() {
  const inside = useMemo(foldersInside, [state.images, state.images.length]);
  if (inside.size < 2) return "";
  const take = async () => {
    try {
      const { categories, images } = await post("/api/take-folders", {});
      say(`${categories} categories; ${images.toLocaleString()} images get their labels in the background.`);
    } catch (error) { say(error.message, "error"); }
  };
  const names = [...inside].sort((a, b) => b[1] - a[1]).slice(0, 6).map(([name, count]) => `${name} (${count.toLocaleString()})`);
  return html`<div class="step"><p class="small">The images lie in ${inside.size} folders: ${names.join(", ")}${inside.size > 6 ? ", ..." : ""}. Are these the categories?</p>
    <button onClick=${take}>Take the folders as labels</button></div>`;
}
