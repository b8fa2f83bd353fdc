// The grid: only the rows in sight are in the page. Selecting by click, Shift, Ctrl, a frame, arrows and touch.

import { html, useCallback, useEffect, useLayoutEffect, useRef, useState } from "./vendor/htm-preact-3.1.1.js";
import { answerOf, described, doubtOf, guessOf } from "./select.js";
import { categoryOf, labelOf, nameOf, state, thumbnail } from "./store.js";

const GAP = 8;
const CAPTION = 22;
const TWO_LINES = 42; // with an answer to the test, or a doubt, below the label; or for long names of categories
const LETTER = 7.5; // pixels of a letter in a caption, about
const BESIDE = 7; // letters beside a category's name: of a guess
const BEYOND = 2; // rows kept above and below those in sight
const DRAG = 6; // pixels, from which on a press is a frame and no click

export function Grid({ list, size: asked, selected, cursor, onSelect, onOpen, gridRef }) {
  const [width, setWidth] = useState(800);
  const [height, setHeight] = useState(600);
  const [top, setTop] = useState(0);
  const [frame, setFrame] = useState(null);
  const drag = useRef(null);
  const columns = Math.max(1, Math.round((width - GAP) / (asked + GAP)));
  const size = Math.floor((width - GAP) / columns) - GAP; // no stripe is left over at the right
  const longest = Math.max(0, ...state.categories.map((one) => one.name.length)) + (state.guess.size ? BESIDE : 2);
  const below = state.answers || state.checking;
  const two = below || longest * LETTER > size;
  const rowHeight = size + (two ? TWO_LINES : CAPTION) + GAP;
  const rows = Math.ceil(list.length / columns);
  const first = Math.max(0, Math.floor(top / rowHeight) - BEYOND);
  const last = Math.min(rows, Math.ceil((top + height) / rowHeight) + BEYOND);

  useLayoutEffect(() => {
    const element = gridRef.current;
    const measure = () => { setWidth(element.clientWidth); setHeight(element.clientHeight); };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => { // the cursor stays in sight
    if (cursor < 0) return;
    const element = gridRef.current;
    const y = Math.floor(cursor / columns) * rowHeight;
    if (y < element.scrollTop) element.scrollTop = y;
    else if (y + rowHeight > element.scrollTop + element.clientHeight) element.scrollTop = y + rowHeight - element.clientHeight + GAP;
  }, [cursor, columns, rowHeight]);

  const positionOf = (event) => {
    const element = gridRef.current;
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left + element.scrollLeft, y: event.clientY - box.top + element.scrollTop };
  };

  const within = useCallback((a, b) => {
    const [left, right] = [Math.min(a.x, b.x), Math.max(a.x, b.x)];
    const [above, below] = [Math.min(a.y, b.y), Math.max(a.y, b.y)];
    const from = Math.max(0, Math.floor((above - GAP) / rowHeight));
    const to = Math.min(rows - 1, Math.floor((below - GAP) / rowHeight));
    const start = Math.max(0, Math.ceil((left - GAP - size) / (size + GAP)));
    const end = Math.min(columns - 1, Math.floor((right - GAP) / (size + GAP)));
    const found = [];
    for (let row = from; row <= to; row++) for (let column = start; column <= end; column++) {
      const at = row * columns + column;
      if (at < list.length) found.push(at);
    }
    return found;
  }, [rowHeight, rows, columns, size, list]);

  const onPointerDown = (event) => {
    if (event.button !== 0 || event.pointerType === "touch") return;
    const start = positionOf(event);
    if (start.x > gridRef.current.clientWidth) return; // the scroll bar
    drag.current = { start, add: event.ctrlKey || event.metaKey || event.shiftKey, moved: false };
  };
  const onPointerMove = (event) => {
    const now = drag.current;
    if (!now) return;
    const at = positionOf(event);
    if (!now.moved && Math.hypot(at.x - now.start.x, at.y - now.start.y) < DRAG) return;
    if (!now.moved) gridRef.current.setPointerCapture(event.pointerId);
    now.moved = true;
    const box = gridRef.current.getBoundingClientRect();
    if (event.clientY > box.bottom - 24) gridRef.current.scrollTop += 24;
    if (event.clientY < box.top + 24) gridRef.current.scrollTop -= 24;
    setFrame({ a: now.start, b: at });
    const found = within(now.start, at);
    onSelect({ kind: "frame", positions: found, add: now.add });
  };
  const onPointerUp = (event) => {
    const now = drag.current;
    drag.current = null;
    setFrame(null);
    if (!now) return;
    if (now.moved) { onSelect({ kind: "framed" }); return; }
    if (!event.target.closest("[data-at]")) onSelect({ kind: "none" });
  };
  const onClick = (event) => {
    const cell = event.target.closest("[data-at]");
    if (!cell) return;
    const position = Number(cell.dataset.at);
    const touch = event.pointerType === "touch";
    onSelect({ kind: event.shiftKey ? "range" : event.ctrlKey || event.metaKey || touch ? "toggle" : "one", position });
  };
  const onDoubleClick = (event) => {
    const cell = event.target.closest("[data-at]");
    if (cell) onOpen(Number(cell.dataset.at));
  };

  const drawn = [];
  for (let row = first; row < last; row++) {
    const cells = [];
    for (let column = 0; column < columns; column++) {
      const at = row * columns + column;
      if (at >= list.length) break;
      cells.push(html`<${Cell} key=${list[at]} number=${list[at]} at=${at} column=${column} size=${size}
        chosen=${selected.has(list[at])} current=${at === cursor} />`);
    }
    drawn.push(html`<div role="row" key=${row} aria-rowindex=${row + 1} class="row"
      style=${{ top: `${row * rowHeight + GAP}px`, height: `${rowHeight}px` }}>${cells}</div>`);
  }
  return html`<div class=${`grid${below ? " answers" : two ? " long" : ""}`} ref=${gridRef} role="grid" tabindex="0" aria-label="Images" aria-multiselectable="true"
    aria-rowcount=${rows} aria-colcount=${columns} data-columns=${columns}
    aria-activedescendant=${cursor >= 0 && cursor < list.length ? `image-${list[cursor]}` : undefined}
    onScroll=${(event) => setTop(event.currentTarget.scrollTop)}
    onPointerDown=${onPointerDown} onPointerMove=${onPointerMove} onPointerUp=${onPointerUp} onPointerCancel=${onPointerUp}
    onClick=${onClick} onDblClick=${onDoubleClick}>
    <div class="rows" style=${{ height: `${rows * rowHeight + GAP}px` }}>${drawn}</div>
    ${frame && html`<div class="frame" style=${{
      left: `${Math.min(frame.a.x, frame.b.x)}px`, top: `${Math.min(frame.a.y, frame.b.y)}px`,
      width: `${Math.abs(frame.a.x - frame.b.x)}px`, height: `${Math.abs(frame.a.y - frame.b.y)}px` }} />`}
  </div>`;
}

const percent = (share) => `${Math.round(100 * share)}\u00a0%`; // one word

function Cell({ number, at, column, size, chosen, current }) {
  const label = labelOf(number);
  const category = label === null ? null : categoryOf(label);
  const pending = state.pending.has(number);
  const guess = guessOf(number);
  const answer = answerOf(number, false);
  const doubt = doubtOf(number);
  const problem = state.unreadable.get(number);
  return html`<div role="gridcell" id=${`image-${number}`} data-at=${at} data-number=${number} aria-colindex=${column + 1}
    aria-selected=${chosen} aria-label=${described(number)} title=${state.images[number]}
    class=${`cell${chosen ? " chosen" : ""}${current ? " current" : ""}${category ? " labelled" : ""}${pending ? " pending" : ""}`}
    style=${{ width: `${size}px`, "--colour": category?.colour || "transparent" }}>
    ${problem
      ? html`<div class="unreadable" style=${{ height: `${size}px` }}>${problem}</div>`
      : html`<img src=${thumbnail(number)} alt="" draggable="false" decoding="async" style=${{ height: `${size}px` }} />`}
    <span class="caption" title=${described(number).split("; ").slice(1).join("; ")}>${
      category ? html`<b class="label">${category.name}</b>${answer && html`<span class="guess">→ ${answer}</span>`}${doubt && html`<span class="guess">→ ${nameOf(doubt[0])}?</span>`}`
      : answer ? html`<span class="guess">→ ${answer}</span>`
      : guess ? html`<span class="guess">${nameOf(guess[0])}? ${percent(guess[1])}</span>`
      : problem ? state.images[number] : ""}</span>
    ${state.exam.has(number) && html`<span class="badge" title="Exam image: it tests the models, and is labelled without seeing a guess">exam</span>`}
  </div>`;
}
