// Keys, and how the desk works.

import { html, useLayoutEffect, useRef } from "./vendor/htm-preact-3.1.1.js";

const KEYS = [
  ["Arrows", "go to an image; with Shift, select all on the way"],
  ["Click", "select; with Shift a range, with Ctrl (⌘) one more; drag for a frame"],
  ["A", "select all that is shown"],
  ["1-9, letters", "label what is selected as the category with that key"],
  ["Enter", "accept the model's guesses for what is selected"],
  ["0", "take the label away"],
  ["Z, Shift+Z", "take back what you did in this window, do it again: without limit, also after a restart"],
  ["Space", "look at one image large; keys label there too, and go on to the next"],
  ["L", "filter and sort anew"],
  ["Esc", "select nothing, or close"],
];

export function Help({ close, onTour }) {
  const dialog = useRef(null);
  useLayoutEffect(() => dialog.current.showModal(), []);
  return html`<dialog class="help" ref=${dialog} onClose=${close} aria-label="Keys and help">
    <h2>Keys</h2>
    <dl>${KEYS.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
    <p>Labels are saved as you give them: a label in a dashed frame is on its way, one in a plain frame is on the disk. Your images are never changed.</p>
    <div class="buttons"><button class="main" onClick=${close}>Close</button><button onClick=${onTour}>Show the tour</button></div>
  </dialog>`;
}
