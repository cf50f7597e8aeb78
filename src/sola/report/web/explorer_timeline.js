// Lanes: annotated segments and detections of each run as buttons on a time axis, and the readout of one segment.

const MOST_ROWS = 5;
const ROW = 1.4; // row height (rem)

function element(tag, properties = {}, ...children) {
  const created = document.createElement(tag);
  const { style = {}, data: attributes = {}, ...others } = properties;
  Object.assign(created, others);
  for (const [name, value] of Object.entries(style)) created.style.setProperty(name, value);
  Object.assign(created.dataset, attributes);
  created.append(...children);
  return created;
}

const lanes = document.getElementById("lanes");
const readout = document.getElementById("readout");
let shownSegments = []; // one list per lane, sorted by time

function drawLanes() {
  const focused = document.activeElement?.dataset?.key;
  const colors = hues();
  const width = Math.max(lanes.clientWidth - (innerWidth > 704 ? 184 : 0), 120);
  const marks = times(width / 90);
  shownSegments = [];
  const parts = [axis(marks)];
  if (video().truth) {
    const annotated = truth();
    const found = `${annotated.length} segment${annotated.length === 1 ? "" : "s"}`;
    parts.push(lane("Annotated", found, annotated, colors, marks, width, annotated.length ? "" : "no annotations"));
  }
  data.runs.forEach((name, run) => {
    if (!view.runs[run]) return;
    const found = video().found[run];
    const list = found ? detections(run) : [];
    parts.push(lane(name, found ? tally(list, found) : "", list, colors, marks, width, empty(found, list)));
  });
  lanes.replaceChildren(...parts);
  for (const track of lanes.querySelectorAll(".track")) {
    const first = track.querySelector(".segment");
    if (first) first.tabIndex = 0;
  }
  if (focused !== undefined) lanes.querySelector(`[data-key="${focused}"]`)?.focus({ preventScroll: true });
}

function tally(list, found) {
  const annotated = truth();
  const reached = new Set(list.filter((one) => one.hit).map((one) => one.match.key)).size;
  const parts = [`${list.length} shown`];
  if (annotated.length) parts.push(`${reached} of ${annotated.length} found`);
  return parts.join(" · ");
}

function empty(found, list) {
  if (!found) return "no detections for this video";
  if (list.length) return "";
  return found.start.length ? "nothing above the threshold" : "no detections";
}

function axis(marks) {
  const track = element("div", { className: "track bare" });
  for (const mark of marks) {
    const at = place(mark);
    const side = at < 2 ? "at-start" : at > 97 ? "at-end" : "";
    track.append(element("span", { className: side, textContent: clock(mark), style: { left: `${at}%` } }));
  }
  return element("div", { className: "lane axis first" }, element("div", { className: "lane-name" }), track);
}

function lane(name, small, list, colors, marks, width, nothing) {
  const placed = rows(list, MOST_ROWS);
  const hidden = placed.filter((row) => row === null).length;
  const label = element("div", { className: "lane-name" }, name, " ", element("small", { textContent: small }));
  if (hidden) label.append(element("small", { textContent: `${hidden} with lower scores are hidden` }));
  const used = Math.max(1, ...placed.map((row) => (row ?? 0) + 1));
  const track = element("div", { className: "track", style: { height: `${used * ROW}rem` } });
  for (const mark of marks) track.append(element("i", { style: { left: `${place(mark)}%` } }));
  if (nothing) track.append(element("p", { className: "nothing", textContent: nothing }));
  const inTime = list
    .map((one, index) => ({ ...one, row: placed[index], name }))
    .filter((one) => one.row !== null && one.end >= view.from && one.start <= view.to)
    .sort((a, b) => a.start - b.start || a.end - b.end);
  if (inTime.length) shownSegments.push(inTime);
  for (const one of inTime) track.append(button(one, colors, width));
  return element("div", { className: "lane" }, label, track);
}

function button(one, colors, width) {
  const wide = (place(one.end) - place(one.start)) * (width / 100);
  const score = one.score === null ? "" : short(one.score);
  const text = one.score === null ? named(one.label) : wide > 70 && named(one.label) ? `${score} ${named(one.label)}` : score;
  const segment = element("button", {
    type: "button",
    className: ["segment", one.score === null ? "truth" : "", one.hit || !video().truth ? "hit" : "", wide < 26 ? "narrow" : ""].join(" "),
    textContent: wide < 26 ? "" : text,
    tabIndex: -1,
    ariaLabel: sentence(one),
    data: { key: one.key },
    style: {
      left: `${place(one.start)}%`,
      width: `${place(one.end) - place(one.start)}%`,
      top: `${one.row * ROW + 0.1}rem`,
      "--c": colors.get(one.label) ?? "var(--gray)",
      "--fill": `${Math.round(one.score === null ? 38 : 10 + 40 * Math.max(strength(one.run, one.score), 0))}%`,
    },
  });
  segment.addEventListener("pointerenter", () => describe(one));
  segment.addEventListener("focus", () => describe(one));
  segment.addEventListener("click", () => segment.focus()); // some browsers do not focus a clicked button
  return segment;
}

function seconds(value) {
  return `${value.toFixed(2)}\u00a0s`;
}

function span(one) {
  return `${seconds(one.start)} to ${seconds(one.end)} (${seconds(one.end - one.start)})`;
}

function facts(one) {
  if (one.score === null) return span(one);
  const match = one.match
    ? `tIoU ${short(one.iou)} with the annotated ${named(one.match.label)} from ${seconds(one.match.start)} to ${seconds(one.match.end)}`
    : video().truth
      ? "overlaps no annotated segment of its class"
      : "";
  return [span(one), `score ${short(one.score, 3)}`, match].filter(Boolean).join("; ");
}

function sentence(one) {
  return `${one.name}: ${named(one.label)}, ${facts(one)}`;
}

// The runs that detected an annotated segment, each with its best matching detection.
function foundBy(one) {
  return data.runs.flatMap((name, run) => {
    const hit = view.runs[run] && detections(run).find((other) => other.hit && other.match.key === one.key);
    return hit ? [`${name} (score ${short(hit.score)}, tIoU ${short(hit.iou)})`] : [];
  });
}

function describe(one) {
  const parts = [`${one.name}: `, element("strong", { textContent: named(one.label) }), `, ${facts(one)}`];
  if (one.score === null && data.runs.length) {
    const by = foundBy(one);
    parts.push(by.length ? `. Found by ${by.join(", ")}.` : ". Found by none of the runs shown.");
  }
  readout.replaceChildren(...parts);
  mark(one.start, one.end);
  for (const other of lanes.querySelectorAll(".in-readout")) other.classList.remove("in-readout");
  lanes.querySelector(`[data-key="${one.key}"]`)?.classList.add("in-readout");
}

// Highlight a time range across all lanes and the map.
function mark(start, end) {
  const viewer = document.getElementById("viewer");
  viewer.style.setProperty("--from", `${place(start)}%`);
  viewer.style.setProperty("--to", `${place(end)}%`);
}

function unmark() {
  const viewer = document.getElementById("viewer");
  viewer.style.removeProperty("--from");
  viewer.style.removeProperty("--to");
  readout.replaceChildren();
}

// Left and right move to the neighbor in the lane, up and down to the segment of the next lane that is closest in time.
function step(key, direction) {
  const laneIndex = shownSegments.findIndex((list) => list.some((one) => one.key === key));
  if (laneIndex < 0) return;
  const list = shownSegments[laneIndex];
  const index = list.findIndex((one) => one.key === key);
  let goal = { ArrowLeft: list[index - 1], ArrowRight: list[index + 1], Home: list[0], End: list[list.length - 1] }[direction];
  if (direction === "ArrowUp" || direction === "ArrowDown") {
    const next = shownSegments[laneIndex + (direction === "ArrowUp" ? -1 : 1)] ?? [];
    const middle = (one) => (one.start + one.end) / 2;
    const away = (one) => Math.abs(middle(one) - middle(list[index]));
    goal = next.reduce((nearest, one) => (nearest && away(nearest) <= away(one) ? nearest : one), undefined);
  }
  if (!goal) return;
  const target = lanes.querySelector(`[data-key="${goal.key}"]`);
  for (const other of target.parentElement.querySelectorAll(".segment")) other.tabIndex = -1;
  target.tabIndex = 0;
  target.focus({ preventScroll: true });
}

function listSegments() {
  const body = document.querySelector("#listing tbody");
  const line = (...cells) => element("tr", {}, ...cells.map((text) => element("td", { textContent: text })));
  body.replaceChildren(
    ...shownSegments.flat().map((one) =>
      line(
        one.name,
        named(one.label),
        one.start.toFixed(2),
        one.end.toFixed(2),
        one.score === null ? "" : short(one.score, 3),
        one.score === null || !video().truth ? "" : short(one.iou),
      ),
    ),
  );
}
