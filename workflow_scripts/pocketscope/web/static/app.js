// The desk's page.

import { html, render, useEffect, useMemo, useReducer, useRef, useState } from "./vendor/htm-preact-3.1.1.js";
import { onWaiting } from "./api.js";
import { Categories } from "./categories.js";
import { Chooser } from "./chooser.js";
import { Grid } from "./grid.js";
import { Help } from "./help.js";
import { FILTERS, guessOf, isGuesses, shown, SORTS, testedName } from "./select.js";
import { Results } from "./results.js";
import { Enough, Exam, Stacks, Suggestions } from "./steps.js";
import { Train } from "./train.js";
import { changed, counts, findSimilar, label, labelOf, listen, load, nameOf, say, state, subscribe, turn } from "./store.js";
import { Tour } from "./tour.js";
import { Zoom } from "./zoom.js";

const SIZES = { small: 96, medium: 136, large: 192 };
const DOUBLE = 400; // milliseconds, within which a second press of a button belongs to the first
const BEGIN = { filter: "all", who: "", sort: "name", text: "" };

function App() {
  const [, again] = useReducer((n) => n + 1, 0);
  useEffect(() => subscribe(again), []);
  useEffect(() => { // back from the list of projects
    const onPop = (event) => { if (!state.project && !event.state?.projects) load(); };
    addEventListener("popstate", onPop);
    return () => removeEventListener("popstate", onPop);
  }, []);
  if (!state.loaded) return html`<p class="hint">Loading ...</p>`;
  return state.project ? html`<${Desk} key=${state.project.home} />` : html`<${Chooser} />`;
}

function Desk() {
  const [view, setView] = useState(BEGIN);
  const [round, setRound] = useState(0); // computed anew when it changes
  const [selected, setSelected] = useState(new Set());
  const [cursor, setCursor] = useState(-1); // position in the list
  const [zoomed, setZoomed] = useState(null);
  const [size, setSize] = useState("medium");
  const [help, setHelp] = useState(false);
  const [tour, setTour] = useState(state.tour);
  const [panel, setPanel] = useState(false); // on a small screen: all beside the grid, not the categories alone
  const [more, setMore] = useState(false); // and all that says what is shown
  const [tab, setTab] = useState("label");
  const anchor = useRef(-1);
  const before = useRef(new Set());
  const pressed = useRef({ category: undefined, at: 0 });
  const grid = useRef(null);
  const files = `${state.images.length} ${state.gone.size} ${view.filter === "unreadable" ? state.unreadable.size : ""}`;
  const list = useMemo(() => shown({ ...view, similar: state.similar }), [view, round, files, state.session, state.similar]);
  const at = useRef(null);
  at.current = { list, selected, cursor, zoomed, tab };

  useEffect(() => { // the same image stays current where it is still shown
    if (cursor >= list.length) setCursor(list.length - 1);
  }, [list]);
  const listAnew = () => { // and begin with what is asked for first
    setRound((n) => n + 1);
    if (cursor < 0) return;
    const now = shown({ ...view, similar: state.similar });
    const position = view.sort === "name" ? Math.max(0, now.indexOf(list[cursor])) : 0;
    anchor.current = position;
    setSelected(new Set(now.slice(position, position + 1)));
    setCursor(position);
  };

  const select = (positions, current) => {
    setSelected(new Set(positions.map((position) => list[position]).filter((number) => number !== undefined)));
    if (current !== undefined) setCursor(current);
  };
  const range = (from, to) => Array.from({ length: Math.abs(to - from) + 1 }, (_, i) => Math.min(from, to) + i);

  const onSelect = ({ kind, position, positions, add }) => {
    grid.current?.focus({ preventScroll: true });
    if (kind === "one") { anchor.current = position; select([position], position); }
    else if (kind === "range") { select(range(Math.max(0, anchor.current), position), position); }
    else if (kind === "toggle") {
      const next = new Set(selected);
      if (!next.delete(list[position])) next.add(list[position]);
      anchor.current = position;
      setSelected(next);
      setCursor(position);
    } else if (kind === "frame") {
      const found = positions.map((one) => list[one]);
      setSelected(new Set(add ? [...before.current, ...found] : found));
      if (positions.length) setCursor(positions[positions.length - 1]);
    } else if (kind === "framed") before.current = at.current.selected;
    else if (kind === "none") { setSelected(new Set()); before.current = new Set(); }
    if (kind !== "frame" && kind !== "framed") queueMicrotask(() => { before.current = new Set(at.current.selected); });
  };

  const moveTo = (position, extend) => {
    const next = Math.max(0, Math.min(list.length - 1, position));
    if (!list.length) return;
    if (extend) select(range(Math.max(0, anchor.current), next), next);
    else { anchor.current = next; select([next], next); }
  };

  const guessed = isGuesses(view.filter);
  const guessedAs = guessed && view.filter.startsWith("guess:") ? view.filter.slice(6) : null;
  const inSight = () => { // wholly: what is cut nobody has looked at
    const box = grid.current.getBoundingClientRect();
    return [...grid.current.querySelectorAll(".cell")].filter((cell) => {
      const own = cell.getBoundingClientRect();
      return own.top >= box.top && own.bottom <= box.bottom + 4;
    }).map((cell) => Number(cell.dataset.number));
  };

  const labelSelection = (category) => {
    const { list, selected, zoomed } = at.current;
    if (zoomed !== null) {
      label([list[zoomed]], category);
      if (category !== null && zoomed + 1 < list.length) { setZoomed(zoomed + 1); setCursor(zoomed + 1); }
      return;
    }
    const numbers = [...selected];
    if (!numbers.length) return say("Nothing is selected. Click an image, or press an arrow key.", "error");
    label(numbers, category);
    if (category !== null && numbers.length === 1 && !guessed) onward(); // who looks through guesses chooses what is wrong
  };

  const labelByButton = (category, event) => { // a double click is one: the second would label the next image
    const { detail, timeStamp } = event;
    if (detail > 0 && pressed.current.category === category && timeStamp - pressed.current.at < DOUBLE) return;
    pressed.current = { category, at: timeStamp };
    labelSelection(category);
  };

  const onward = () => { // to the next image without a label
    const { list, cursor } = at.current;
    let next = cursor + 1;
    while (next < list.length && labelOf(list[next]) !== null) next++;
    if (next < list.length) moveTo(next);
  };

  // All others in sight as what was looked for: guesses follow each label, and another one may stand there by now.
  const acceptInSight = () => {
    const left = inSight().filter((number) => guessOf(number));
    if (!left.length) return say("There is no guess in sight to accept.", "error");
    label(left, guessedAs || new Map(left.map((number) => [number, guessOf(number)[0]]))).then(() => {
      grid.current.scrollTop = 0;
      listAnew();
    });
  };

  const acceptGuesses = () => {
    const { list, selected, zoomed } = at.current;
    const by = new Map();
    for (const number of zoomed !== null ? [list[zoomed]] : selected) {
      const guess = guessOf(number);
      if (guess) by.set(number, guess[0]);
    }
    if (!by.size) return say("There is no guess to accept on what is selected.", "error");
    label([...by.keys()], by);
    if (zoomed === null && selected.size === 1) onward();
    if (zoomed !== null && zoomed + 1 < list.length) { setZoomed(zoomed + 1); setCursor(zoomed + 1); }
  };

  const openAt = (position) => { if (list.length) { setZoomed(Math.max(0, position)); setCursor(Math.max(0, position)); } };
  const close = () => {
    const { zoomed, list } = at.current;
    setZoomed(null);
    if (zoomed !== null && list[zoomed] !== undefined) { anchor.current = zoomed; setSelected(new Set([list[zoomed]])); setCursor(zoomed); }
    grid.current?.focus({ preventScroll: true });
  };

  useEffect(() => {
    const onKey = (event) => {
      const { list, cursor, zoomed, tab } = at.current;
      if (tab !== "label") return;
      const target = event.target;
      if (target.closest("input:not([type=checkbox]), select, textarea, .editor") && event.key !== "Escape") return;
      const key = event.key.toLowerCase();
      if ((event.ctrlKey || event.metaKey) && key === "a") {
        event.preventDefault();
        if (zoomed === null) setSelected(new Set(list));
        return;
      }
      if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
        event.preventDefault();
        turn(key === "y" || event.shiftKey);
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const columns = Number(grid.current?.dataset.columns || 1);
      const page = columns * Math.max(1, Math.floor((grid.current?.clientHeight || 600) / (SIZES[size] + 30)));
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
      if (help) { if (key === "escape" || key === "?") setHelp(false); return; }
      if (event.key in steps) {
        event.preventDefault();
        if (zoomed !== null) {
          const next = Math.max(0, Math.min(list.length - 1, zoomed + Math.sign(steps[event.key])));
          setZoomed(next);
          setCursor(next);
        } else moveTo(cursor < 0 ? 0 : cursor + steps[event.key], event.shiftKey);
        return;
      }
      if (key === " " && !target.closest("button, summary")) {
        event.preventDefault();
        if (zoomed !== null) close();
        else openAt(cursor);
      } else if (key === "escape") { if (zoomed !== null) close(); else setSelected(new Set()); }
      else if (key === "z") turn(event.shiftKey);
      else if (key === "0") labelSelection(null);
      else if (key === "?") setHelp(true);
      else if (key === "l") listAnew();
      else if (key === "enter" && !target.closest("button, summary, a")) acceptGuesses();
      else if (key === "a" && zoomed === null) setSelected(new Set(list));
      else {
        const category = state.categories.find((one) => one.key === key);
        if (!category) return;
        labelSelection(category.id);
      }
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });

  state.answers = view.filter.startsWith("tested:");
  state.checking = view.filter === "suspicious";
  const openTested = (filter, number) => {
    setTab("label");
    change({ ...BEGIN, filter });
    if (number === undefined) return;
    const position = shown({ ...BEGIN, filter }).indexOf(number);
    setSelected(new Set([number]));
    setCursor(position);
    anchor.current = position;
  };
  const change = (about) => { setView({ ...view, ...about }); setSelected(new Set()); setCursor(-1); anchor.current = -1; grid.current && (grid.current.scrollTop = 0); };
  const show = (filter) => change({ filter, sort: isGuesses(filter) ? "sure" : isGuesses(view.filter) ? "name" : view.sort });
  const begin = (filter) => { // show images, the first that has no label selected
    const about = { ...BEGIN, filter };
    change(about);
    const now = shown(about);
    const position = Math.max(0, now.findIndex((number) => labelOf(number) === null));
    setSelected(new Set(now.slice(position, position + 1)));
    setCursor(now.length ? position : -1);
    anchor.current = position;
    setPanel(false);
    grid.current?.focus({ preventScroll: true });
  };
  // Back and forward of the browser go from page to page of the desk, and close or open what is looked at large.
  const large = zoomed !== null;
  useEffect(() => history.replaceState({ tab, filter: view.filter, sort: view.sort }, ""), []);
  useEffect(() => {
    const { tab: before, filter } = history.state || {};
    if (before !== tab || filter !== view.filter) history.pushState({ tab, filter: view.filter, sort: view.sort }, "");
  }, [tab, view.filter]);
  useEffect(() => {
    if (large && !history.state?.large) history.pushState({ ...history.state, large: true }, "");
    else if (!large && history.state?.large) history.back();
  }, [large]);
  useEffect(() => {
    const onPop = ({ state: place }) => {
      if (!place?.tab) return;
      if (at.current.zoomed !== null && !place.large) close();
      setTab(place.tab);
      if (place.filter !== view.filter) change({ ...BEGIN, filter: place.filter, sort: place.sort });
    };
    addEventListener("popstate", onPop);
    return () => removeEventListener("popstate", onPop);
  });
  const people = useMemo(() => [...new Set(state.by.filter(Boolean))].sort(), [round, state.images.length, view]);
  const labelled = counts().all;
  const total = state.images.length - state.gone.size;
  const sorts = Object.entries(SORTS).filter(([key]) => key === "name" || (key === "similar" ? state.similar : key === "next" ? state.order : state.guess.size));
  return html`<div class="desk">
    <header class="top">
      <h1><a href="/" onClick=${(event) => { event.preventDefault(); history.pushState({ projects: true }, ""); state.project = null; changed(); }} title="Other projects">pocketscope</a> <span>${state.project.name}</span></h1>
      <nav class="tabs" aria-label="Pages">${[["label", "Label"], ["train", "Train"], ["results", "Results"]].map(([key, name]) => html`
        <button key=${key} aria-current=${tab === key ? "page" : undefined} onClick=${() => setTab(key)}>${name}${key === "train" && ["running", "stopping"].includes(state.run.state) ? html` <span class="busy">${state.run.total ? `${Math.floor((100 * (state.run.done || 0)) / state.run.total)} %` : "..."}</span>` : ""}</button>`)}</nav>
      <div class="numbers" role="status">
        <b>${labelled.toLocaleString()}</b> of ${total.toLocaleString()} labelled
        ${state.missing.labelled > 0 && html` · <span title="Their files are not in the folder. The labels are kept, and hold again when the files come back.">${state.missing.labelled === 1 ? "1 labelled image is" : `${state.missing.labelled.toLocaleString()} labelled images are`} not there now</span>`}
        ${state.unreadable.size > 0 && html` · <button class="link" onClick=${() => change({ filter: "unreadable" })}>${state.unreadable.size} cannot be read</button>`}
        ${!state.scanned ? " · listing the folder ..." : state.identified + state.unreadable.size < total ? ` · looking at the images: ${Math.floor((100 * state.identified) / Math.max(1, total))} %` : ""}
      </div>
      <div class="tools">
        <button onClick=${() => turn(false)} aria-label="Undo" title="Take back (Z)"><span class="wide">Undo</span><span class="narrow" aria-hidden="true">↶</span></button>
        <button onClick=${() => turn(true)} aria-label="Redo" title="Do again (Shift+Z)"><span class="wide">Redo</span><span class="narrow" aria-hidden="true">↷</span></button>
        <button onClick=${() => setHelp(true)} aria-label="Help" title="Keys and help (?)"><span class="wide">Help</span><span class="narrow" aria-hidden="true">?</span></button>
      </div>
    </header>
    ${!state.connected || state.waiting > 0 ? html`<p class="banner" role="alert">${state.waiting > 0 ? `The desk does not answer. ${state.waiting} changes wait here and are sent when it is back; leave this page open.` : "The desk does not answer. Start it again with pocketscope open, and open the address that it prints."}</p>` : ""}
    ${state.trouble && html`<p class="banner" role="alert">${state.trouble}</p>`}
    ${tab === "train" ? html`<${Train} />` : tab === "results" ? html`<${Results} onShow=${(sort) => { setTab("label"); change({ filter: "unlabelled", sort }); }} onOpen=${openTested} />` : html`
    <nav class=${`bar${more ? " more" : ""}`} aria-label="What is shown">
      <label>Show <select value=${view.filter} onChange=${(event) => show(event.target.value)}>
        ${Object.entries(FILTERS).map(([key, name]) => (key !== "exam" || state.exam.size) && (!key.endsWith("sure") || state.guess.size || view.filter === key) && (key !== "suspicious" || state.suspicious.size || view.filter === key) && html`<option value=${key} selected=${key === view.filter}>${name}</option>`)}
        ${view.filter.startsWith("tested:") && html`<option value=${view.filter} selected>${testedName(view.filter)}</option>`}
        ${state.categories.map((one) => html`<option value=${`category:${one.id}`} selected=${view.filter === `category:${one.id}`}>${one.name}</option>`)}
        ${state.guess.size > 0 && state.categories.map((one) => html`<option value=${`guess:${one.id}`} selected=${view.filter === `guess:${one.id}`}>${one.name}? (guess)</option>`)}
      </select></label>
      ${people.length > 1 && html`<label class="less">by <select value=${view.who} onChange=${(event) => change({ who: event.target.value })}>
        <option value="">anybody</option>${people.map((one) => html`<option value=${one}>${one}</option>`)}</select></label>`}
      ${sorts.length > 1 && !state.answers && view.filter !== "suspicious" && html`<label class="less">Order <select value=${view.sort} onChange=${(event) => change({ sort: event.target.value })}>${sorts.map(([key, name]) => html`<option value=${key} selected=${key === view.sort}>${name}</option>`)}</select></label>`}
      <label class="grow less"><input type="search" aria-label="Name" value=${view.text} onInput=${(event) => change({ text: event.target.value })} placeholder="part of a name" /></label>
      <span class="found"><span>${list.length.toLocaleString()} shown</span><span>${selected.size > 0 ? `${selected.size.toLocaleString()} selected` : ""}</span></span>
      ${state.features && html`<button class="less" disabled=${selected.size !== 1} onClick=${async () => { if (await findSimilar([...selected][0])) change({ sort: "similar", filter: "all" }); }} title="Sort by likeness to the selected image">Similar</button>`}
      <button disabled=${selected.size !== 1} onClick=${() => openAt(list.indexOf([...selected][0]))} title="Look at it large (Space)">Enlarge</button>
      ${state.guess.size > 0 && html`<button disabled=${![...selected].some(guessOf)} onClick=${acceptGuesses} title="Accept the guesses for what is selected (Enter)">Accept</button>`}
      <button class="steady" onClick=${() => setSelected(new Set(selected.size ? [] : list))} title=${selected.size ? "Select nothing (Esc)" : "Select all that is shown (A)"}>${selected.size ? "Select none" : "Select all"}</button>
      <button class="less" onClick=${listAnew} title="Filter and sort anew (L)">List anew</button>
      <label class="less"><select aria-label="Size of the pictures" value=${size} onChange=${(event) => setSize(event.target.value)}>${Object.keys(SIZES).map((key) => html`<option value=${key} selected=${key === size}>${key}</option>`)}</select></label>
      <button class="small-screen" aria-expanded=${more} onClick=${() => setMore(!more)}>Filter</button>
      <button class="small-screen" aria-expanded=${panel} onClick=${() => setPanel(!panel)}>${panel ? "Images" : "Steps"}</button>
    </nav>
    ${guessed && list.length > 0 && html`<p class="note">Is a guess wrong? Choose the image, then its category or key. At the end <button class="main" onClick=${acceptInSight}>${guessedAs ? `Label all others in sight ${nameOf(guessedAs)}` : "Accept all other guesses in sight"}</button> One Z takes them back.</p>`}
    ${state.checking && list.length > 0 && html`<p class="note">Below each label: what the image looks like to a model that learnt from your other labels alone. You may be right. To change a label choose the image, then its category or key.</p>`}
    ${state.answers && html`<p class="note"><button class="link" onClick=${() => setTab("results")}>Back to the results</button> What you correct here of the exam is kept; the test keeps what you said before you saw an answer.</p>`}
    <main>
      <aside class=${panel || !state.categories.length ? "open" : ""}>
        <${Categories} hasSelection=${selected.size > 0} onLabel=${labelByButton} onShow=${(id) => change({ filter: `category:${id}` })} />
        <${Stacks} />
        ${state.categories.length > 1 && html`<${Exam} onShow=${begin} />`}
        <${Suggestions} onSort=${(sort) => change(sort === "suspicious" ? { filter: sort, sort: "name" } : { filter: "unlabelled", sort })} onGuesses=${(id) => show(`guess:${id}`)} />
        <${Enough} />
      </aside>
      ${list.length
        ? html`<${Grid} list=${list} size=${SIZES[size]} selected=${selected} cursor=${cursor} onSelect=${onSelect} onOpen=${openAt} gridRef=${grid} />`
        : html`<div class="empty" ref=${grid} tabindex="-1"><p class="hint">${!state.scanned ? "Listing the folder ..." : !total ? `${state.project.folder} holds no images yet. Put some in: they appear here by themselves.` : "No image is like that. Change what is shown."}</p></div>`}
    </main>
    `}
    ${zoomed !== null && list[zoomed] !== undefined && html`<${Zoom} list=${list} position=${zoomed} categories=${state.categories}
      onMove=${(step) => { setZoomed(zoomed + step); setCursor(zoomed + step); }} onClose=${close} onLabel=${labelByButton} />`}
    ${help && html`<${Help} close=${() => setHelp(false)} onTour=${() => { setHelp(false); setTab("label"); setTour(true); }} />`}
    ${tour && html`<${Tour} close=${() => { setTour(false); grid.current?.focus({ preventScroll: true }); }} />`}
    <div class="toast" role="status" aria-live="polite">${state.message && html`<p class=${state.message.kind}>${state.message.text}</p>`}</div>
  </div>`;
}

onWaiting((count, answers) => {
  const waiting = answers ? 0 : count;
  if (waiting !== state.waiting) { state.waiting = waiting; changed(); }
});
addEventListener("beforeunload", (event) => { if (state.pending.size) event.preventDefault(); });
render(html`<${App} />`, document.getElementById("app"));
load().then(listen, (error) => { document.getElementById("app").textContent = error.message; });
