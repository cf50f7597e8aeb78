// State of the view and values computed from it. This file does not modify the page.

const HIT = 0.5; // minimum tIoU of a detection that counts as a hit
const HUES = 10;

const data = JSON.parse(document.getElementById("explorer-data").textContent);

const view = {
  video: 0,
  runs: data.runs.map((_, run) => data.runs.length <= 6 || run < 3 || run >= data.runs.length - 3),
  features: 0,
  threshold: 0,
  relative: false,
  class: -1,
  from: 0, // seconds, like all times
  to: 1,
  outline: true,
};

const best = data.runs.map((_, run) =>
  data.videos.reduce((most, video) => Math.max(most, ...(video.found[run]?.score ?? [])), 0),
);

const least = data.videos.reduce(
  (lowest, one) => Math.min(lowest, ...one.found.flatMap((found) => found?.score ?? [])),
  0,
);

function video() {
  return data.videos[view.video];
}

function strength(run, score) {
  return best[run] > 0 ? score / best[run] : 0;
}

// The value to compare with the slider: the score, or the score relative to the run's best.
function compared(run, score) {
  return view.relative ? strength(run, score) : score;
}

function overlap(a, b) {
  const intersection = Math.min(a.end, b.end) - Math.max(a.start, b.start);
  const union = a.end - a.start + b.end - b.start - intersection;
  return intersection > 0 && union > 0 ? intersection / union : 0;
}

function segments(columns, run) {
  return (columns?.start ?? []).map((start, index) => ({
    key: `${run}/${index}`,
    run,
    start,
    end: columns.end[index],
    label: columns.label[index],
    score: columns.score?.[index] ?? null,
  }));
}

function ofClass(segment) {
  return view.class < 0 || segment.label === view.class || data.classes[segment.label] === "";
}

function truth() {
  return segments(video().truth, -1).filter(ofClass);
}

// The run's detections that pass the threshold and class filter, best first, each with the annotated segment of highest tIoU.
function detections(run) {
  const annotated = truth();
  return segments(video().found[run], run)
    .filter((one) => ofClass(one) && compared(run, one.score) >= view.threshold)
    .map((one) => {
      let match = null;
      let iou = 0;
      for (const other of annotated) {
        const same = other.label === one.label || data.classes[one.label] === "";
        const value = same ? overlap(one, other) : 0;
        if (value > iou) [match, iou] = [other, value];
      }
      return { ...one, match, iou, hit: iou >= HIT };
    });
}

// Assign rows so that segments do not overlap, in list order; null for segments that do not fit.
function rows(list, most) {
  const taken = [];
  return list.map((one) => {
    for (let row = 0; row < most; row++) {
      const others = (taken[row] ??= []);
      if (others.every((other) => one.start >= other.end || one.end <= other.start)) {
        others.push(one);
        return row;
      }
    }
    return null;
  });
}

// Colors by class, in order of appearance in this video, annotated classes first.
function hues() {
  const order = [];
  const see = (label) => order.includes(label) || order.push(label);
  (video().truth?.label ?? []).forEach(see);
  video().found.forEach((found) => (found?.label ?? []).slice(0, 20).forEach(see));
  return new Map(order.map((label, index) => [label, index < HUES ? `var(--hue${index})` : "var(--gray)"]));
}

// The threshold that keeps 1.3 detections per annotated segment, or ten per video without annotations.
function calmThreshold() {
  const all = [];
  let wanted = 0;
  for (const one of data.videos) {
    one.found.forEach((found, run) => {
      for (const score of found?.score ?? []) all.push(compared(run, score));
      if (found) wanted += one.truth ? 1.3 * one.truth.start.length : 10;
    });
  }
  all.sort((a, b) => b - a);
  return all.length > wanted ? Math.floor(all[Math.max(Math.ceil(wanted) - 1, 0)] * 100) / 100 : Math.floor(least);
}

function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function named(label) {
  return data.classes[label] === "" ? "proposal" : data.classes[label];
}

function short(value, digits = 2) {
  return value.toFixed(digits).replace(/^(-?)0\./, "$1.").replace("-", "−");
}

function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const [whole, rest] = [Math.floor(tenths / 10), tenths % 10];
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const tail = String(whole % 60).padStart(2, "0") + (rest ? `.${rest}` : "");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

// About `count` round times within the visible range.
function times(count) {
  const rough = (view.to - view.from) / Math.max(count, 1);
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].find((s) => s >= rough) ?? 7200;
  const marks = [];
  for (let n = Math.ceil(view.from / step - 1e-9); n * step <= view.to + 1e-9; n++) marks.push(n * step);
  return marks;
}

// Position of a time, as a percentage of the visible range.
function place(seconds) {
  return (100 * (seconds - view.from)) / (view.to - view.from);
}
