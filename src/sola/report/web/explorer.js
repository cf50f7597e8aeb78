// Controls: they update the view and redraw what depends on it.

const control = (id) => document.getElementById(id);

function draw() {
  drawLanes();
  drawMap();
  if (control("listing").open) listSegments();
  const [shown, whole] = [view.to - view.from, video().duration];
  control("zoom-out").disabled = control("zoom-whole").disabled = shown >= whole - 1e-6;
  control("earlier").disabled = view.from <= 1e-6;
  control("later").disabled = view.to >= whole - 1e-6;
}

function showVideo(index) {
  view.video = index;
  [view.from, view.to] = [0, video().duration];
  cursor = null;
  unmark();
  const of = video();
  const counted = of.truth ? `, ${of.truth.start.length} annotated` : "";
  control("position").textContent = `${index + 1} of ${data.videos.length} · ${clock(of.duration)}${counted}`;
  control("video").value = String(index);
  const shown = listed();
  control("previous").disabled = shown.indexOf(index) <= 0;
  control("next").disabled = shown.indexOf(index) === shown.length - 1;
  drawThumbnails();
  draw();
}

function listed() {
  return [...control("video").options].map((option) => Number(option.value));
}

function listVideos() {
  const wanted = control("filter").value.trim().toLowerCase();
  const matching = data.videos.map((one, index) => [one.id, index]).filter(([id]) => id.toLowerCase().includes(wanted));
  control("video").replaceChildren(...matching.map(([id, index]) => new Option(id, String(index))));
  control("filter").setCustomValidity(matching.length ? "" : "no matching video");
  if (!matching.length) {
    control("video").append(new Option("no matching video", String(view.video)));
    control("previous").disabled = control("next").disabled = true;
    return;
  }
  showVideo(listed().includes(view.video) ? view.video : matching[0][1]);
}

function stepVideo(by) {
  const shown = listed();
  const goal = shown[shown.indexOf(view.video) + by];
  if (goal !== undefined) showVideo(goal);
}

function zoom(factor, middle = (view.from + view.to) / 2) {
  const whole = video().duration;
  const length = Math.min(whole, Math.max((view.to - view.from) * factor, Math.min(1, whole)));
  const from = Math.min(Math.max(0, middle - length / 2), whole - length);
  [view.from, view.to] = [from, from + length];
  unmark();
  draw();
}

function shift(share) {
  zoom(1, (view.from + view.to) / 2 + share * (view.to - view.from));
}

function setThreshold(value) {
  view.threshold = value;
  control("threshold").value = String(value);
  control("threshold-value").textContent = view.relative ? `${Math.round(100 * value)} %` : short(value);
}

function setRelative(relative) {
  view.relative = relative;
  control("relative").checked = relative;
  const most = relative ? 1 : Math.max(...best, 0.01);
  control("threshold").min = String(relative ? 0 : Math.floor(least));
  control("threshold").max = String(most > 1 ? Math.ceil(most) : 1);
  setThreshold(calmThreshold());
}

function zoomMiddle() {
  const focused = shownSegments.flat().find((one) => one.key === document.activeElement?.dataset?.key);
  return focused ? (focused.start + focused.end) / 2 : undefined;
}

const KEYS = {
  p: () => stepVideo(-1),
  n: () => stepVideo(1),
  "+": () => zoom(0.5, zoomMiddle()),
  "=": () => zoom(0.5, zoomMiddle()),
  "-": () => zoom(2, zoomMiddle()),
  "0": () => zoom(1e9),
  "[": () => shift(-0.5),
  "]": () => shift(0.5),
};

control("explorer").addEventListener("keydown", (event) => {
  const writing = event.target.matches("input[type=search], select");
  if (writing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches(".segment") && /^(Arrow|Home|End)/.test(event.key)) {
    event.preventDefault();
    step(event.target.dataset.key, event.key);
  } else if (KEYS[event.key.toLowerCase()]) {
    event.preventDefault();
    KEYS[event.key.toLowerCase()]();
  }
});

control("video").addEventListener("change", (event) => showVideo(Number(event.target.value)));
control("filter").addEventListener("input", listVideos);
control("previous").addEventListener("click", () => stepVideo(-1));
control("next").addEventListener("click", () => stepVideo(1));
control("threshold").addEventListener("input", (event) => {
  setThreshold(Number(event.target.value));
  draw();
});
control("relative").addEventListener("change", (event) => {
  setRelative(event.target.checked);
  draw();
});
control("class").addEventListener("change", (event) => {
  view.class = Number(event.target.value);
  draw();
});
control("zoom-in").addEventListener("click", () => zoom(0.5));
control("zoom-out").addEventListener("click", () => zoom(2));
control("zoom-whole").addEventListener("click", () => zoom(1e9));
control("earlier").addEventListener("click", () => shift(-0.5));
control("later").addEventListener("click", () => shift(0.5));
control("outline").addEventListener("change", (event) => {
  view.outline = event.target.checked;
  drawMap();
});
control("listing").addEventListener("toggle", () => control("listing").open && listSegments());
let width = 0;
new ResizeObserver(([entry]) => {
  if (entry.contentRect.width === width) return; // drawing changes the height
  width = entry.contentRect.width;
  draw();
}).observe(control("viewer"));

function choice(type, text, checked, act, more = []) {
  const input = element("input", { type, checked });
  if (type === "radio") input.name = "features";
  input.addEventListener("change", () => act(input.checked));
  return element("label", { className: type === "radio" ? "thumb" : "check" }, input, ...more, ` ${text}`);
}

control("runs").hidden = data.runs.length < 2;
control("runs").append(
  ...data.runs.map((name, run) =>
    choice("checkbox", name, view.runs[run], (checked) => {
      view.runs[run] = checked;
      draw();
    }),
  ),
);
control("features").append(
  ...data.features.map((name, features) =>
    choice("radio", name, features === 0, () => {
      view.features = features;
      drawMap();
    }, [element("canvas", { width: 112, height: 112, data: { features } })]),
  ),
);
control("class").append(
  new Option("all classes", "-1"),
  ...data.classes.map((name, label) => [name, label]).filter(([name]) => name).map(([name, label]) => new Option(name, String(label))),
);
control("class").parentElement.hidden = data.classes.filter(Boolean).length < 2;
const annotated = data.videos.some((one) => one.truth);
control("outline").parentElement.hidden = !annotated;
for (const one of document.querySelectorAll(".of-truth")) one.hidden = !annotated;
control("filter").parentElement.hidden = data.videos.length < 2;
control("threshold-control").hidden = control("key").hidden = !data.runs.length;
readout.dataset.empty = "Point at a segment, or select it with the arrow keys, to see its values.";
mapReadout.dataset.empty = "Point at the map, or move over it with the arrow keys, to see the similarity of two times.";
if (data.features.length) drawRamp();
const bests = best.filter((score) => score > 0);
setRelative(least >= 0 && bests.length > 1 && Math.max(...bests) > 1.5 * Math.min(...bests));
listVideos();
