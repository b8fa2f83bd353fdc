// Which folder? Recent projects, and folders to choose from.

import { html, useEffect, useState } from "./vendor/htm-preact-3.1.1.js";
import { get, postOnce } from "./api.js";
import { load } from "./store.js";

export function Chooser() {
  const [recent, setRecent] = useState(null);
  const [at, setAt] = useState(null);
  const [error, setError] = useState("");
  const go = (folder) => get(`/api/folders?of=${encodeURIComponent(folder)}`).then((found) => { setAt(found); setError(""); }, (why) => setError(why.message));
  const open = (folder) => postOnce("/api/open", { folder }).then(load, (why) => setError(why.message));
  useEffect(() => { get("/api/projects").then(setRecent, () => setRecent([])); go(""); }, []);
  return html`<div class="chooser">
    <h1>pocketscope</h1>
    <p>Open a folder of images. Nothing is written into it, and nothing leaves this computer.</p>
    ${error && html`<p class="banner" role="alert">${error}</p>`}
    ${recent?.length > 0 && html`<section><h2>Recent projects</h2><ul class="recent">${recent.map((one) => html`<li key=${one.folder}>
      <button disabled=${!one.there} onClick=${() => open(one.folder)}><b>${one.name}</b> <span>${one.folder}${one.there ? "" : " (the folder is not there)"}</span></button></li>`)}</ul></section>`}
    <section><h2>Another folder</h2>
      <form onSubmit=${(event) => { event.preventDefault(); open(new FormData(event.target).get("folder")); }}>
        <input name="folder" aria-label="Path of the folder" value=${at?.folder || ""} key=${at?.folder} /><button class="main">Open this folder</button></form>
      ${at && html`<ul class="folders">
        ${at.above !== at.folder && html`<li><button onClick=${() => go(at.above)}>↑ ${at.above}</button></li>`}
        ${at.folders.map((name) => html`<li key=${name}><button onClick=${() => go(`${at.folder}/${name}`)}>${name}</button></li>`)}
        ${!at.folders.length && html`<li class="hint">no folders inside</li>`}</ul>`}
    </section>
  </div>`;
}
