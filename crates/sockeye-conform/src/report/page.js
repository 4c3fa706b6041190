// Owns the matrix of cases and agents, its filters and the panel with a result's details.
// Strings of the report become text nodes and plain attributes only, so nothing a peer sent turns into markup.
//
// For tests, these ids and attributes stay as they are:
//   #words, #section      fields; #verdicts button[data-v], #failures[aria-pressed]; #shown the count
//   #matrix               tr.case[data-id] and tr.section; a cell's link has data-v and an href of #agent/id
//   #panel                #panel-title, #panel-agent, .compare, .wire li[data-by]; #close, #previous, #next

const { cases, agents } = JSON.parse(byId("overview").textContent);

/** Each verdict from best to worst: the sign and the short word in its cells, and whether it is a failure. */
const VERDICTS = {
  "OK": { sign: "✓", word: "OK", fails: false },
  "INFORMATIONAL": { sign: "i", word: "info", fails: false },
  "NON-STRICT": { sign: "≈", word: "lenient", fails: false },
  "UNIMPLEMENTED": { sign: "–", word: "lacks", fails: false },
  "UNCLEAN": { sign: "!", word: "unclean", fails: true },
  "WRONG CODE": { sign: "#", word: "code", fails: true },
  "FAILED": { sign: "✕", word: "failed", fails: true },
};
const FAILURES = Object.keys(VERDICTS).filter((name) => VERDICTS[name].fails);
const FEW_AGENTS = 4;
const PAGE_ROWS = 12;
const HEX_KEPT = 128;

const matrix = byId("matrix");
const panel = byId("panel");
const narrow = matchMedia("(max-width: 60rem)");
const wanted = { words: [], section: "", verdicts: new Set() };
const details = new Map();
let current = null;
let opened = null;

const sections = makeSections();
drawMatrix();
drawFilters();
listen();
filter();
followAddress();

// ---- The matrix ----------------------------------------------------------------------------------------------------

/** Groups the cases that stand together under one section. */
function makeSections() {
  const made = [];
  cases.forEach((info, index) => {
    const last = made.at(-1);
    const row = { info, index, text: `${info.id} ${info.section} ${info.about} ${info.rule}`.toLowerCase() };
    row.verdicts = agents.map((agent) => agent.verdicts[index]);
    if (last?.title === info.section) last.rows.push(row);
    else made.push({ title: info.section, rows: [row] });
  });
  for (const section of made) {
    const number = sharedNumber(section.rows.map((row) => row.info.id));
    section.heading = number && !section.title.startsWith(number) ? `${number} ${section.title}` : section.title;
    section.open = section.rows.some((row) => row.verdicts.some((verdict) => FAILURES.includes(verdict)));
  }
  return made;
}

/** Finds what the ids of a section begin with: `1.2` of `1.2.1` and `1.2.2`. */
function sharedNumber(ids) {
  const [first, ...others] = ids.map((id) => id.split(/(?=[.-])/));
  let length = first.length - 1;
  for (const id of others) while (length && id.slice(0, length).join("") !== first.slice(0, length).join("")) length--;
  return first.slice(0, length).join("");
}

function drawMatrix() {
  matrix.classList.add(agents.length > FEW_AGENTS ? "many" : "few");
  matrix.style.setProperty("--agents", agents.length);
  const names = agents.map(({ label }) => element("th", { scope: "col" }, element("span", { title: label }, ...breakable(label))));
  const head = element("tr", {}, element("th", { scope: "col" }, "Case"), ...names);
  matrix.append(element("thead", {}, head), ...sections.map(drawSection));
  setCurrent(focusable(matrix.tBodies[0]?.rows[0], 0));
}

function drawSection(section) {
  section.button = element("button", { type: "button", tabindex: -1 },
    section.heading, element("small", {}, ` ${section.rows.length}`));
  section.cells = agents.map(() => element("td", { tabindex: -1 }));
  section.element = element("tr", { class: "section", "aria-level": 1 }, element("th", { scope: "row" }, section.button), ...section.cells);
  section.element.section = section;
  section.cells.forEach((cell, agent) => fillSum(cell, section.rows.map((row) => row.verdicts[agent])));
  for (const row of section.rows) row.element = drawRow(row);
  return element("tbody", {}, section.element, ...section.rows.map((row) => row.element));
}

/** Sums up a section for one agent: how many cases failed, or how many passed. */
function fillSum(cell, verdicts) {
  const played = verdicts.filter(Boolean);
  const failed = played.filter((verdict) => FAILURES.includes(verdict));
  const plain = played.filter((verdict) => verdict === "OK").length;
  cell.dataset.sign = played.length ? VERDICTS[worstOf(played)].sign : "·";
  if (failed.length) {
    cell.dataset.sum = "failed";
    cell.textContent = `${failed.length} ✕`;
    cell.setAttribute("aria-label", `${failed.length} of ${played.length} failed`);
  } else {
    cell.dataset.sum = played.length && plain === played.length ? "passed" : "";
    cell.textContent = played.length ? `${plain}/${played.length}` : "·";
    cell.setAttribute("aria-label", played.length ? `${plain} of ${played.length} OK, none failed` : "not run");
  }
}

function drawRow(row) {
  const { id, about } = row.info;
  const head = element("th", { scope: "row", tabindex: -1 }, element("span", { class: "id" }, id), element("span", { class: "about", title: about }, about));
  const cells = row.verdicts.map((verdict, agent) => {
    if (!verdict) return element("td", { tabindex: -1, "aria-label": "not run" }, "·");
    const link = element("a", { href: addressOf(agent, id), tabindex: -1, "data-v": verdict, "aria-label": verdict }, VERDICTS[verdict].word);
    return element("td", {}, link);
  });
  const drawn = element("tr", { class: "case", "data-id": id, "aria-level": 2 }, head, ...cells);
  drawn.row = row;
  return drawn;
}

/** Shows or hides the rows by the section's fold and by the filters. */
function arrange(section) {
  const fits = section.rows.filter((row) => row.fits);
  section.element.hidden = !fits.length;
  for (const part of [section.element, section.button]) part.setAttribute("aria-expanded", section.open);
  for (const row of section.rows) row.element.hidden = !(row.fits && section.open);
}

function fold(section, open) {
  section.open = open;
  arrange(section);
}

// ---- Filters -------------------------------------------------------------------------------------------------------

function drawFilters() {
  const options = sections.map((section, index) => element("option", { value: index }, section.heading));
  byId("section").append(...options);
  const failures = element("button", { type: "button", id: "failures", "aria-pressed": false }, "Only failures");
  const given = Object.keys(VERDICTS).filter((name) => agents.some((agent) => agent.verdicts.includes(name)));
  const buttons = given.map((name) => element("button", { type: "button", class: "chip", "data-v": name, "aria-pressed": false }, `${name} `, element("small")));
  byId("verdicts").append(failures, ...buttons);
  byId("cases").hidden = false;
}

function filter() {
  const counts = new Map();
  const narrowed = wanted.words.length > 0 || wanted.verdicts.size > 0 || wanted.section !== "";
  let shown = 0;
  sections.forEach((section, index) => {
    const inSection = wanted.section === "" || Number(wanted.section) === index;
    for (const row of section.rows) {
      const told = inSection && wanted.words.every((word) => row.text.includes(word));
      if (told) for (const verdict of row.verdicts) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
      row.fits = told && (!wanted.verdicts.size || row.verdicts.some((verdict) => wanted.verdicts.has(verdict)));
      if (row.fits) shown++;
    }
    // What was asked for is shown, whatever was folded; the folds come back with all cases.
    if (narrowed) section.before ??= { open: section.open };
    section.open = narrowed || (section.before?.open ?? section.open);
    if (!narrowed) section.before = undefined;
    arrange(section);
  });
  showFilter(counts, shown);
}

function showFilter(counts, shown) {
  for (const button of byId("verdicts").querySelectorAll("[data-v]")) {
    button.setAttribute("aria-pressed", wanted.verdicts.has(button.dataset.v));
    button.lastElementChild.textContent = String(counts.get(button.dataset.v) ?? 0);
  }
  byId("failures").setAttribute("aria-pressed", onlyFailures());
  matrix.dataset.only = [...wanted.verdicts].map((name) => name.replace(" ", "-")).join(" ");
  byId("shown").textContent = shown === cases.length ? `${shown} cases` : `${shown} of ${cases.length} cases`;
  byId("nothing").hidden = shown > 0;
  if (current && !current.checkVisibility()) setCurrent(focusable(visibleRows()[0], 0));
}

function onlyFailures() {
  return wanted.verdicts.size === FAILURES.length && FAILURES.every((name) => wanted.verdicts.has(name));
}

function toggleVerdict(button) {
  const name = button.dataset.v;
  if (!name) wanted.verdicts = new Set(onlyFailures() ? [] : FAILURES);
  else if (!wanted.verdicts.delete(name)) wanted.verdicts.add(name);
  filter();
}

function reset() {
  Object.assign(wanted, { words: [], section: "", verdicts: new Set() });
  byId("words").value = byId("section").value = "";
  filter();
  byId("words").focus();
}

// ---- Moving in the matrix ------------------------------------------------------------------------------------------

function visibleRows() {
  return [...matrix.querySelectorAll("tbody tr:not([hidden])")];
}

/** Returns what takes the focus in a cell: its link or button, or the cell itself. */
function focusable(row, column) {
  const cell = row?.cells[column];
  return cell?.querySelector("a, button") ?? cell;
}

/** Makes an element the one of the matrix that the Tab key reaches. */
function setCurrent(next) {
  current?.setAttribute("tabindex", "-1");
  current = next ?? null;
  current?.setAttribute("tabindex", "0");
}

function moveTo(row, column) {
  const next = focusable(row, column);
  if (!next) return;
  setCurrent(next);
  next.focus({ preventScroll: true });
  next.closest("tr").scrollIntoView({ block: "nearest" });
  next.closest("td")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function onMatrixKey(event) {
  const cell = event.target.closest("th, td");
  const row = cell?.parentElement;
  if (!row || event.altKey || event.metaKey) return;
  const act = { Enter: () => activate(event, row), " ": () => activate(event, row) }[event.key];
  if (act) return act();
  const opens = { ArrowRight: true, ArrowLeft: false }[event.key];
  if (row.section && cell.cellIndex === 0 && opens !== undefined && opens !== row.section.open) {
    event.preventDefault();
    return fold(row.section, opens);
  }
  const place = placeFor(event, row, cell.cellIndex);
  if (!place) return;
  event.preventDefault();
  moveTo(place.row, place.column);
}

function placeFor({ key, ctrlKey }, row, column) {
  const rows = visibleRows();
  const at = rows.indexOf(row);
  const last = agents.length;
  const near = (steps) => rows[Math.max(0, Math.min(rows.length - 1, at + steps))];
  switch (key) {
    case "ArrowDown": return { row: near(1), column };
    case "ArrowUp": return { row: near(-1), column };
    case "ArrowRight": return { row, column: Math.min(last, column + 1) };
    case "ArrowLeft": return { row, column: Math.max(0, column - 1) };
    case "PageDown": return { row: near(PAGE_ROWS), column };
    case "PageUp": return { row: near(-PAGE_ROWS), column };
    case "Home": return { row: ctrlKey ? rows[0] : row, column: 0 };
    case "End": return { row: ctrlKey ? rows.at(-1) : row, column: last };
    default: return null;
  }
}

/** Does what Enter, Space or a click asks for: folds a section, or opens a result. */
function activate(event, row) {
  const link = event.target.closest("a");
  if (link && event.type === "click") return;
  event.preventDefault();
  if (row.section) fold(row.section, !row.section.open);
  else if (link) location.hash = link.getAttribute("href");
  else if (event.target.closest("th")) openWorst(row.row);
}

/** Opens the result of a case that needs a look first. */
function openWorst({ verdicts, info }) {
  const worst = worstOf(verdicts);
  if (worst) location.hash = addressOf(verdicts.indexOf(worst), info.id);
}

function worstOf(verdicts) {
  return Object.keys(VERDICTS).findLast((name) => verdicts.includes(name));
}

// ---- The panel -----------------------------------------------------------------------------------------------------

function addressOf(agent, id) {
  return `#${encodeURIComponent(agents[agent].label)}/${encodeURIComponent(id)}`;
}

/** Finds the result that a fragment leads to. */
function resultAt(hash) {
  const parts = hash.slice(1).split("/");
  if (parts.length !== 2) return null;
  let label, id;
  try {
    [label, id] = parts.map(decodeURIComponent);
  } catch {
    return null;
  }
  const agent = agents.findIndex((agent) => agent.label === label);
  const section = sections.find((section) => section.rows.some((row) => row.info.id === id));
  const row = section?.rows.find((row) => row.info.id === id);
  return row?.verdicts[agent] ? { agent, section, row } : null;
}

function followAddress() {
  const result = resultAt(location.hash);
  if (!result) return hidePanel();
  const { agent, section, row } = result;
  if (row.fits && !section.open) fold(section, true);
  opened?.link.removeAttribute("aria-current");
  const link = focusable(row.element, agent + 1);
  opened = { ...result, link };
  link.setAttribute("aria-current", "true");
  if (row.fits) setCurrent(link);
  byId("panel-agent").textContent = agents[agent].label;
  byId("panel-body").replaceChildren(...drawResult(row.info, resultsOf(agent)[row.info.id]));
  showPanel();
  link.scrollIntoView({ block: "nearest", inline: "nearest" });
  row.element.scrollIntoView({ block: "nearest" });
}

function resultsOf(agent) {
  if (!details.has(agent)) details.set(agent, JSON.parse(byId(`results-${agent}`).textContent));
  return details.get(agent);
}

function showPanel() {
  panel.hidden = false;
  document.body.classList.add("with-panel");
  measure();
  byId("main").inert = narrow.matches;
  byId("panel-body").scrollTop = 0;
  byId("previous").disabled = !neighbour(-1);
  byId("next").disabled = !neighbour(1);
  if (!panel.contains(document.activeElement) || document.activeElement.disabled) panel.focus({ preventScroll: true });
}

function hidePanel() {
  if (panel.hidden) return;
  const held = panel.contains(document.activeElement);
  panel.hidden = true;
  document.body.classList.remove("with-panel");
  byId("main").inert = false;
  opened.link.removeAttribute("aria-current");
  if (held) (opened.row.fits ? opened.link : byId("words")).focus();
  opened = null;
}

function closePanel() {
  if (panel.hidden) return;
  history.replaceState(null, "", location.href.split("#")[0]);
  hidePanel();
}

/** Finds the next case among those shown that the agent was put through. */
function neighbour(step) {
  const rows = sections.flatMap((section) => section.rows).filter((row) => row.fits || row === opened.row);
  let at = rows.indexOf(opened.row) + step;
  while (rows[at] && !rows[at].verdicts[opened.agent]) at += step;
  return rows[at];
}

function step(direction) {
  const row = neighbour(direction);
  if (row) location.replace(addressOf(opened.agent, row.info.id));
}

// ---- What the panel shows ------------------------------------------------------------------------------------------

function drawResult(info, result) {
  const worse = agents[opened.agent].verdicts[opened.row.index];
  const parts = [
    element("p", { class: "kicker" }, element("span", { class: "id" }, info.id), " ", info.section),
    element("h2", { id: "panel-title" }, info.about),
    element("p", { class: "rule" }, info.rule),
    element("p", { class: "verdict" }, badge(worse), ...(result.reason ? [element("span", { class: "reason" }, result.reason)] : [])),
    drawFacts(result),
  ];
  if (info.sends.length) parts.push(element("h3", {}, "The tester"), element("ol", { class: "sends" }, ...info.sends.map((line) => element("li", {}, line))));
  parts.push(...drawComparison(info.expects, result.saw, worse !== "OK"), ...drawWire(result.wire));
  return parts;
}

function badge(verdict) {
  return element("span", { class: "badge", "data-v": verdict }, verdict);
}

function drawFacts(result) {
  const facts = [
    ["Behavior", badge(result.behavior)],
    ["Close", badge(result.behavior_close)],
    ["Close code", result.close_code === undefined ? "none" : String(result.close_code)],
    ["Time", `${milliseconds(result.duration_ms)} ms`],
  ];
  return element("dl", {}, ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

/** Lays what was expected beside what was seen; where the result is not OK, the first difference is marked. */
function drawComparison(expects, saw, marked) {
  const length = Math.max(expects.length, saw.length, 1);
  const first = marked ? Array.from({ length }, (_, at) => at).find((at) => expects[at] !== saw[at]) : undefined;
  const rows = Array.from({ length }, (_, at) => {
    const differs = at === first;
    const cells = [[expects[at], saw[at]], [saw[at], expects[at]]].map(([own, other]) => element("td", {}, ...drawLine(own, other, differs, at)));
    return element("tr", differs ? { class: "differs" } : {}, ...cells);
  });
  const head = element("tr", {}, element("th", { scope: "col" }, "Expected"), element("th", { scope: "col" }, "Seen"));
  return [element("h3", {}, "Expected and seen"), element("table", { class: "compare" }, element("thead", {}, head), element("tbody", {}, ...rows))];
}

function drawLine(own, other, differs, at) {
  if (own === undefined) return differs || at === 0 ? [element(differs ? "mark" : "span", { class: "nothing" }, "nothing")] : [];
  if (!differs || other === undefined) return [differs ? element("mark", {}, own) : own];
  const [mine, theirs] = [Array.from(own), Array.from(other)];
  const shorter = Math.min(mine.length, theirs.length);
  let start = 0;
  while (start < shorter && mine[start] === theirs[start]) start++;
  let end = 0;
  while (end < shorter - start && mine.at(-1 - end) === theirs.at(-1 - end)) end++;
  // A number is told as a whole: 1000 is not 1002 in its last digit.
  const isDigit = (character) => character >= "0" && character <= "9";
  while (start && isDigit(mine[start - 1])) start--;
  while (end && isDigit(mine.at(-end))) end--;
  const cut = mine.length - end;
  return [mine.slice(0, start).join(""), element("mark", {}, mine.slice(start, cut).join("")), mine.slice(cut).join("")];
}

function drawWire({ first, left_out, last }) {
  const gap = left_out ? [element("li", { class: "gap" }, `${left_out} more, left out`)] : [];
  const entries = [...first.map(drawEntry), ...gap, ...last.map(drawEntry)];
  const lanes = element("p", { class: "lanes", "aria-hidden": true }, element("span", {}, "Tester"), element("span", {}, "ms"), element("span", {}, "Peer"));
  if (!entries.length) return [element("h3", {}, "On the wire"), element("p", { class: "rule" }, "Nothing was noted.")];
  return [element("h3", {}, "On the wire"), lanes, element("ol", { class: "wire" }, ...entries)];
}

function drawEntry(entry) {
  const who = entry.by === "tester" ? "Tester" : "Peer";
  const frame = element("div", { class: entry.hex ? "frame" : "frame event" }, element("span", { class: "off-screen" }, `${who}: `), element("span", { class: "what" }, entry.what));
  if (entry.payload) frame.append(element("code", { class: "payload" }, entry.payload));
  if (entry.hex) {
    const bytes = entry.hex.match(/../g)?.join(" ") ?? "";
    const more = entry.hex.length >= HEX_KEPT ? "first 64 bytes" : "hex";
    frame.append(element("details", {}, element("summary", {}, more), element("code", {}, bytes)));
  }
  return element("li", { "data-by": entry.by }, frame, element("time", {}, milliseconds(entry.at_ms)));
}

function milliseconds(ms) {
  return ms.toFixed(ms < 10 ? 2 : ms < 10_000 ? 1 : 0);
}

// ---- Wiring --------------------------------------------------------------------------------------------------------

function listen() {
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("words").addEventListener("input", ({ target }) => {
    wanted.words = target.value.toLowerCase().split(/\s+/).filter(Boolean);
    filter();
  });
  byId("section").addEventListener("change", ({ target }) => {
    wanted.section = target.value;
    filter();
  });
  byId("verdicts").addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button) toggleVerdict(button);
  });
  byId("unfold").addEventListener("click", () => sections.forEach((section) => fold(section, true)));
  byId("fold").addEventListener("click", () => sections.forEach((section) => fold(section, false)));
  byId("reset").addEventListener("click", reset);
  matrix.addEventListener("keydown", onMatrixKey);
  matrix.addEventListener("focusin", ({ target }) => setCurrent(target));
  matrix.addEventListener("click", (event) => {
    const row = event.target.closest("tbody tr");
    if (row) activate(event, row);
  });
  byId("close").addEventListener("click", closePanel);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") closePanel();
  });
  addEventListener("hashchange", followAddress);
  narrow.addEventListener("change", () => (byId("main").inert = narrow.matches && !panel.hidden));
  new ResizeObserver(measure).observe(byId("frame"));
  new ResizeObserver(measure).observe(byId("filters"));
}

/** Lets the matrix scroll in a frame of its own only where it is too wide for the page. */
function measure() {
  const frame = byId("frame");
  document.documentElement.style.setProperty("--bar", `${byId("filters").offsetHeight}px`);
  frame.classList.toggle("scrolls", matrix.offsetWidth > frame.clientWidth + 1);
}

// ---- Help ----------------------------------------------------------------------------------------------------------

function byId(id) {
  return document.getElementById(id);
}

/** Lets a name be broken behind its punctuation. */
function breakable(name) {
  return name.split(/(?<=[/_-])/).flatMap((part) => [part, element("wbr")]);
}

/** Makes an element with attributes and children; a child that is a string becomes text. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}
