// Similarity maps: each is rendered once, then cropped to the visible time range.

const colors = bytes(data.colors);
const frame = document.getElementById("map-frame");
const canvas = document.getElementById("map");
const mapReadout = document.getElementById("map-readout");
const drawn = new Map(); // levels and rendered image by `video/features`
let cursor = null; // the selected cell: [column, row]

function cellsOf(videoIndex, features) {
  const key = `${videoIndex}/${features}`;
  const one = data.videos[videoIndex].maps[features];
  if (!one) return null;
  if (!drawn.has(key)) {
    const { side, least, greatest, dark, bright } = one;
    const upper = bytes(one.cells);
    const levels = new Uint8Array(side * side);
    for (let row = 0, next = 0; row < side; row++)
      for (let column = row; column < side; column++, next++)
        levels[row * side + column] = levels[column * side + row] = upper[next];
    const value = (level) => least + ((greatest - least) * level) / 255;
    const picture = element("canvas", { width: side, height: side });
    const context = picture.getContext("2d");
    const image = context.createImageData(side, side);
    for (let cell = 0; cell < levels.length; cell++) {
      const share = bright > dark ? (value(levels[cell]) - dark) / (bright - dark) : 1;
      const color = 3 * Math.round(255 * Math.min(1, Math.max(0, share)));
      image.data.set([colors[color], colors[color + 1], colors[color + 2], 255], 4 * cell);
    }
    context.putImageData(image, 0, 0);
    const whole = one.end > one.begin ? [one.begin, one.end] : [0, data.videos[videoIndex].duration];
    drawn.set(key, { one, side, levels, value, picture, begin: whole[0], end: whole[1] });
  }
  return drawn.get(key);
}

function drawMap() {
  const lane = document.getElementById("map-lane");
  lane.hidden = !data.features.length;
  if (lane.hidden) return;
  const map = cellsOf(view.video, view.features);
  const width = frame.clientWidth;
  const height = Math.min(width, 440);
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  const name = data.features[view.features];
  for (const id of ["dark", "bright"]) document.getElementById(id).textContent = map ? short(map.one[id]) : "";
  if (!map) {
    canvas.ariaLabel = mapReadout.textContent = `No features for this video: ${name}.`;
    return;
  }
  canvas.ariaLabel = `Cosine similarity of all pairs of times, ${name}. Use the arrow keys to read single cells.`;
  const across = (seconds) => ((seconds - view.from) / (view.to - view.from)) * canvas.width;
  const down = (seconds) => ((seconds - view.from) / (view.to - view.from)) * canvas.height;
  context.imageSmoothingEnabled = false;
  context.drawImage(
    map.picture,
    across(map.begin),
    down(map.begin),
    across(map.end) - across(map.begin),
    down(map.end) - down(map.begin),
  );
  if (view.outline) {
    for (const [color, wide] of [["rgb(0 0 0 / .55)", 3], ["rgb(255 255 255 / .9)", 1.25]]) {
      context.strokeStyle = color;
      context.lineWidth = wide * scale;
      for (const one of truth())
        context.strokeRect(across(one.start), down(one.start), across(one.end) - across(one.start), down(one.end) - down(one.start));
    }
  }
  mapReadout.textContent = "";
  if (cursor) describeCell(map);
}

function drawThumbnails() {
  for (const thumbnail of document.querySelectorAll(".thumb canvas")) {
    const map = cellsOf(view.video, Number(thumbnail.dataset.features));
    const context = thumbnail.getContext("2d");
    context.clearRect(0, 0, thumbnail.width, thumbnail.height);
    if (map) context.drawImage(map.picture, 0, 0, thumbnail.width, thumbnail.height);
  }
}

function drawRamp() {
  const context = document.getElementById("ramp").getContext("2d");
  const image = context.createImageData(256, 1);
  for (let level = 0; level < 256; level++)
    image.data.set([colors[3 * level], colors[3 * level + 1], colors[3 * level + 2], 255], 4 * level);
  context.putImageData(image, 0, 0);
}

function describeCell(map) {
  const inside = (cell) => Math.min(map.side - 1, Math.max(0, cell));
  cursor = [inside(cursor[0]), inside(cursor[1])];
  const seconds = (cell) => map.begin + ((cell + 0.5) * (map.end - map.begin)) / map.side;
  const similarity = map.value(map.levels[cursor[1] * map.side + cursor[0]]);
  const [column, row] = cursor.map(seconds);
  mapReadout.textContent = `${column.toFixed(1)} s and ${row.toFixed(1)} s: cosine similarity ${short(similarity)}`;
  mark(Math.min(column, row), Math.max(column, row));
}

function cellAt(event) {
  const map = cellsOf(view.video, view.features);
  if (!map) return;
  const box = canvas.getBoundingClientRect();
  const cell = (share) => {
    const seconds = view.from + share * (view.to - view.from);
    return Math.floor(((seconds - map.begin) / (map.end - map.begin)) * map.side);
  };
  cursor = [cell((event.clientX - box.left) / box.width), cell((event.clientY - box.top) / box.height)];
  describeCell(map);
}

canvas.addEventListener("pointermove", cellAt);
canvas.addEventListener("pointerdown", cellAt);
canvas.addEventListener("keydown", (event) => {
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const map = cellsOf(view.video, view.features);
  if (!move || !map) return;
  event.preventDefault();
  cursor = cursor ? [cursor[0] + move[0], cursor[1] + move[1]] : [Math.floor(map.side / 2), Math.floor(map.side / 2)];
  describeCell(map);
});
