"use strict";

const $ = (id) => document.getElementById(id);
const told = JSON.parse($("map-data").textContent);
const canvas = $("map"), ctx = canvas.getContext("2d"), tip = $("tip"), readout = $("readout");
const [height, width] = told.shape; // pixels of the preview, in which all places are
const NODATA = 255;
const MANY = 15000; // polygons that are not drawn anew for every frame of a movement
const MOST_ZOOM = 24; // screen pixels of a pixel of the preview

const shown = { scene: true, codes: true, certainty: false, polygons: true };
const on = told.classes.map(() => true);
const view = { x: width / 2, y: height / 2, scale: 1 };
const loaded = {}; // image, codes, certainty, polygons and the pictures made of them
let least = 0, byConfidence = false, selected = -1, moving = 0, asked = false, version = 0;
let sheet = { canvas: document.createElement("canvas"), x: 0, y: 0, scale: 1, version: -1 };

// ---- loading

async function load() {
  const [image, codes, certainty, polygons] = await Promise.all([
    told.image && loadImage(told.image), told.codes && unpack(told.codes),
    told.certainty && unpack(told.certainty), told.polygons && Polygons.unpack(told.polygons),
  ]);
  Object.assign(loaded, { image, codes, certainty, polygons });
  if (certainty) loaded.certaintyPicture = picture(told.certainty.shape, (i) => told.ramp[certainty[i] >> 3],
    (i) => certainty[i] !== NODATA);
  // the polygons say the same as the mask, and more finely
  shown.codes = !polygons;
  buildControls();
  paintCodes();
  fit();
  $("frame").dataset.ready = "true";
}

async function loadImage(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

// A canvas of [r, g, b] by pixel, transparent where there is nothing to see.
function picture([rows, cols], colorOf, visible) {
  const made = Object.assign(document.createElement("canvas"), { width: cols, height: rows });
  const pixels = new ImageData(cols, rows);
  for (let i = 0; i < rows * cols; i++) {
    if (!visible(i)) continue;
    const color = colorOf(i);
    pixels.data.set([color[0], color[1], color[2], 255], 4 * i);
  }
  made.getContext("2d").putImageData(pixels, 0, 0);
  return made;
}

function paintCodes() {
  if (!loaded.codes) return;
  const colors = told.classes.map((one) => [1, 3, 5].map((at) => parseInt(one.color.slice(at, at + 2), 16)));
  const codes = loaded.codes;
  loaded.codesPicture = picture(told.shape, (i) => colors[codes[i] - 1], (i) => codes[i] && on[codes[i] - 1]);
}

// ---- drawing

function ask() {
  if (!asked) requestAnimationFrame(paint);
  asked = true;
}

function paint() {
  asked = false;
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
    canvas.width = Math.round(w * ratio);
    canvas.height = Math.round(h * ratio);
  }
  ctx.setTransform(1, 0, 0, 1, 0, 0);
  ctx.clearRect(0, 0, canvas.width, canvas.height);
  toWorld(ctx, ratio);
  ctx.imageSmoothingEnabled = view.scale < 3;
  if (shown.scene && loaded.image) ctx.drawImage(loaded.image, 0, 0, width, height);
  if (shown.certainty && loaded.certainty) drawLayer(loaded.certaintyPicture, 0.75);
  if (shown.codes && loaded.codes) drawLayer(loaded.codesPicture, loaded.image && shown.scene ? 0.5 : 1);
  if (loaded.polygons && shown.polygons) paintPolygons(ratio);
  toWorld(ctx, ratio);
  if (selected >= 0 && shown.polygons) outline(selected);
  if (canvas.matches(":focus-visible")) cross(ratio);
  scaleBar();
}

function toWorld(context, ratio) {
  const s = ratio * view.scale;
  context.setTransform(s, 0, 0, s, (ratio * canvas.clientWidth) / 2 - s * view.x,
    (ratio * canvas.clientHeight) / 2 - s * view.y);
}

function drawLayer(layer, alpha) {
  ctx.globalAlpha = alpha;
  ctx.drawImage(layer, 0, 0, width, height);
  ctx.globalAlpha = 1;
}

// Polygons lie on a sheet of their own, which is moved and stretched while the map moves if they are many.
function paintPolygons(ratio) {
  const { polygons } = loaded, paper = sheet.canvas;
  const same = sheet.version === version && sheet.x === view.x && sheet.y === view.y
    && sheet.scale === view.scale && paper.width === canvas.width && paper.height === canvas.height;
  if (!same && !(moving && polygons.count > MANY && sheet.version === version)) {
    paper.width = canvas.width;
    paper.height = canvas.height;
    const context = paper.getContext("2d");
    toWorld(context, ratio);
    polygons.draw(context, seen(), view.scale, wanted, colorOf);
    Object.assign(sheet, { x: view.x, y: view.y, scale: view.scale, version });
  }
  const [w, h, grown] = [canvas.clientWidth, canvas.clientHeight, view.scale / sheet.scale];
  const left = (sheet.x - view.x) * view.scale + (w * (1 - grown)) / 2;
  const top = (sheet.y - view.y) * view.scale + (h * (1 - grown)) / 2;
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.drawImage(paper, left, top, w * grown, h * grown);
}

function seen() {
  const [w, h] = [canvas.clientWidth / view.scale / 2, canvas.clientHeight / view.scale / 2];
  return [view.x - w, view.y - h, view.x + w, view.y + h];
}

const confidenceOf = (k) => loaded.polygons.confidences[k];
const wanted = (k) => on[loaded.polygons.kinds[k]] && (confidenceOf(k) === UNKNOWN || confidenceOf(k) / 2 >= least);

function colorOf(k) {
  if (!byConfidence || confidenceOf(k) === UNKNOWN) return told.classes[loaded.polygons.kinds[k]].color;
  const [r, g, b] = told.ramp[Math.min(31, Math.floor(Math.max(0, confidenceOf(k) / 200 - 0.5) * 64))];
  return `rgb(${r} ${g} ${b})`;
}

function outline(k) {
  for (const [color, pixels] of [["#000", 4], ["#fff", 2]]) {
    const path = new Path2D();
    loaded.polygons.trace(path, k);
    ctx.strokeStyle = color;
    ctx.lineWidth = pixels / view.scale;
    ctx.stroke(path);
  }
}

function cross(ratio) {
  const [x, y, arm] = [canvas.clientWidth / 2, canvas.clientHeight / 2, 9];
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  for (const [color, pixels] of [["#000", 4], ["#fff", 2]]) {
    ctx.strokeStyle = color;
    ctx.lineWidth = pixels;
    ctx.beginPath();
    ctx.moveTo(x - arm, y);
    ctx.lineTo(x + arm, y);
    ctx.moveTo(x, y - arm);
    ctx.lineTo(x, y + arm);
    ctx.stroke();
  }
}

function scaleBar() {
  const bar = $("scalebar");
  if (!told.metres) return;
  const most = (Math.min(160, canvas.clientWidth / 3) / view.scale) * told.metres;
  const power = 10 ** Math.floor(Math.log10(most));
  const length = [5, 2, 1].find((step) => step * power <= most) * power;
  bar.style.width = `${(length / told.metres) * view.scale}px`;
  bar.textContent = length >= 1000 ? `${length / 1000} km` : length >= 1 ? `${length} m` : `${length * 100} cm`;
}

// ---- moving

function move(x, y, scale) {
  const smallest = Math.min(canvas.clientWidth / width, canvas.clientHeight / height) / 2;
  view.scale = Math.min(Math.max(scale, smallest), Math.max(MOST_ZOOM, smallest));
  view.x = Math.min(Math.max(x, 0), width);
  view.y = Math.min(Math.max(y, 0), height);
  clearTimeout(moving);
  moving = setTimeout(() => { moving = 0; ask(); }, 160);
  ask();
}

function fit(box = [0, 0, width, height], part = 0.98) {
  const [left, top, right, bottom] = box;
  const scale = Math.min(canvas.clientWidth / (right - left), canvas.clientHeight / (bottom - top));
  move((left + right) / 2, (top + bottom) / 2, scale * part);
}

// Zooms by a factor about a place of the canvas, which stays where it is.
function zoom(factor, px = canvas.clientWidth / 2, py = canvas.clientHeight / 2) {
  const [dx, dy] = [px - canvas.clientWidth / 2, py - canvas.clientHeight / 2];
  const before = view.scale;
  move(view.x, view.y, before * factor);
  const shift = 1 / before - 1 / view.scale;
  move(view.x + dx * shift, view.y + dy * shift, view.scale);
}

const place = (px, py) => [
  view.x + (px - canvas.clientWidth / 2) / view.scale, view.y + (py - canvas.clientHeight / 2) / view.scale,
];

// ---- saying what is there

function facts(x, y) {
  const outside = x < 0 || y < 0 || x >= width || y >= height;
  selected = loaded.polygons && shown.polygons ? loaded.polygons.at(x, y, wanted) : -1;
  if (selected >= 0) return polygonFacts(selected);
  if (outside || !loaded.codes) return outside ? [] : [told.empty];
  const code = loaded.codes[Math.floor(y) * width + Math.floor(x)];
  const said = [code === NODATA ? "no data" : code ? told.classes[code - 1].name : told.empty];
  const probability = certaintyAt(x, y);
  return probability === null ? said : [...said, `probability ${probability} %`];
}

function certaintyAt(x, y) {
  if (!loaded.certainty) return null;
  const [rows, cols] = told.certainty.shape;
  const code = loaded.certainty[Math.floor((y / height) * rows) * cols + Math.floor((x / width) * cols)];
  return code === NODATA ? null : Math.round((code / 254) * 100);
}

function polygonFacts(k) {
  const { kinds, areas, notes } = loaded.polygons;
  const said = [told.classes[kinds[k]].name];
  if (!Number.isNaN(areas[k])) said.push(`area ${number(areas[k])} ${told.unit}`);
  if (confidenceOf(k) !== UNKNOWN) said.push(`confidence ${(confidenceOf(k) / 2).toFixed(0)} %`);
  return notes ? [...said, ...notes[k]] : said;
}

const number = (value) => value.toLocaleString("en", value < 100 ? { maximumSignificantDigits: 3 }
  : { maximumFractionDigits: 0 });

function where(x, y) {
  if (!told.transform) return `column ${Math.floor(x * told.factor)}, row ${Math.floor(y * told.factor)}`;
  const [a, b, c, d, e, f] = told.transform;
  const digits = told.decimals;
  return `x ${(a * x + b * y + c).toFixed(digits)}, y ${(d * x + e * y + f).toFixed(digits)} (${told.crs})`;
}

function say(x, y, px = null, py = null) {
  const said = facts(x, y);
  readout.textContent = [said.join(" · "), where(x, y)].filter(Boolean).join(" — ");
  tip.hidden = px === null || !said.length;
  if (!tip.hidden) {
    tip.replaceChildren(...said.map((text, i) => Object.assign(document.createElement(i ? "div" : "b"),
      { textContent: text })));
    tip.style.left = `${Math.max(4, px + 14 + tip.offsetWidth > canvas.clientWidth ? px - 14 - tip.offsetWidth : px + 14)}px`;
    tip.style.top = `${Math.max(4, Math.min(py + 14, canvas.clientHeight - tip.offsetHeight - 4))}px`;
  }
  ask();
}

// ---- controls

function buildControls() {
  const layers = [["scene", "scene", loaded.image], ["codes", told.codesName, loaded.codes],
    ["polygons", "polygons", loaded.polygons], ["certainty", "probability", loaded.certainty]];
  for (const [key, name, there] of layers) {
    if (there) $("layers").append(checkbox(`layer-${key}`, name, shown[key], (now) => (shown[key] = now)));
  }
  told.classes.forEach((one, k) => {
    const box = checkbox(`class-${k}`, one.name, true, (now) => { on[k] = now; paintCodes(); });
    const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
    swatch.style.background = one.color;
    box.insertBefore(swatch, box.lastChild);
    $("classes").append(box);
  });
  $("layers").hidden = layers.filter((layer) => layer[2]).length < 2;
  if (loaded.polygons && loaded.polygons.confidences.some((code) => code !== UNKNOWN)) polygonTools();
  $("zoom-in").onclick = () => zoom(1.6);
  $("zoom-out").onclick = () => zoom(1 / 1.6);
  $("zoom-fit").onclick = () => fit();
  for (const button of document.querySelectorAll("button[data-box]")) {
    button.onclick = () => {
      fit(button.dataset.box.split(" ").map(Number), 0.6);
      canvas.focus();
      canvas.scrollIntoView({ block: "center" });
    };
  }
}

function checkbox(id, text, checked, change) {
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", id, checked });
  box.onchange = () => { change(box.checked); version++; ask(); };
  label.append(box, text);
  return label;
}

function polygonTools() {
  const order = loaded.polygons.byDoubt();
  let at = -1;
  const step = (by) => () => {
    at = (at + by + order.length) % order.length;
    const [left, top, right, bottom] = loaded.polygons.boxes.slice(4 * order[at], 4 * order[at] + 4);
    const rim = 2.5 * Math.max(right - left, bottom - top, 4);
    fit([left - rim, top - rim, right + rim, bottom + rim]);
    selected = order[at];
    readout.textContent = `${at + 1} of ${order.length}: ${polygonFacts(selected).join(" · ")}`;
  };
  $("polygon-tools").hidden = false;
  $("doubt-on").onclick = step(1);
  $("doubt-back").onclick = step(-1);
  $("colouring").onchange = () => { byConfidence = $("colouring").value === "confidence"; version++; ask(); };
  $("least").oninput = () => {
    least = Number($("least").value);
    $("least-said").textContent = `${least} %`;
    version++;
    ask();
  };
}

// ---- pointers and keys

const fingers = new Map();

canvas.onpointerdown = (event) => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
};

canvas.onpointermove = (event) => {
  const here = [event.offsetX, event.offsetY], before = fingers.get(event.pointerId);
  if (!before) {
    say(...place(...here), ...here);
    return;
  }
  const other = [...fingers].find(([id]) => id !== event.pointerId);
  if (other) {
    const spread = (point) => Math.hypot(point[0] - other[1][0], point[1] - other[1][1]) || 1;
    zoom(spread(here) / spread(before), (here[0] + other[1][0]) / 2, (here[1] + other[1][1]) / 2);
  }
  const share = (other ? 0.5 : 1) / view.scale;
  move(view.x - (here[0] - before[0]) * share, view.y - (here[1] - before[1]) * share, view.scale);
  fingers.set(event.pointerId, here);
  tip.hidden = true;
};

canvas.onpointerup = canvas.onpointercancel = (event) => {
  fingers.delete(event.pointerId);
  if (event.type === "pointerup") say(...place(event.offsetX, event.offsetY), event.offsetX, event.offsetY);
};

canvas.onpointerleave = () => { tip.hidden = true; selected = -1; ask(); };

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), event.offsetX, event.offsetY);
}, { passive: false });

const KEYS = {
  ArrowLeft: () => push(-1, 0), ArrowRight: () => push(1, 0), ArrowUp: () => push(0, -1),
  ArrowDown: () => push(0, 1), "+": () => zoom(1.6), "=": () => zoom(1.6), "-": () => zoom(1 / 1.6),
  0: () => fit(), Home: () => fit(),
};

function push(dx, dy) {
  const step = Math.min(canvas.clientWidth, canvas.clientHeight) / 8 / view.scale;
  move(view.x + dx * step, view.y + dy * step, view.scale);
}

canvas.onkeydown = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
  say(view.x, view.y);
};

canvas.onfocus = canvas.onblur = ask;
new ResizeObserver(ask).observe(canvas);
load();
