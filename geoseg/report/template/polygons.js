"use strict";

// Arrays come deflated, in base64, with the name of their type.
const ARRAYS = { u1: Uint8Array, i2: Int16Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array };

async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.bytes), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new ARRAYS[packed.type](await new Response(stream).arrayBuffer());
}

const UNKNOWN = 255; // confidence of a polygon that has none
const DOT = 3; // screen pixels below which a polygon is drawn as a dot
const AT_ONCE = 100; // polygons of a path
const MOST_OUTLINES = 30000; // polygons that are outlined

// Polygons in flat arrays, in pixels of the preview. A look at every box takes a fraction of a millisecond at
// 100,000 polygons, so there is no other index.
class Polygons {
  static async unpack(packed) {
    const names = ["steps", "corners", "rings", "kinds", "areas", "confidences"];
    const arrays = await Promise.all(names.map((name) => unpack(packed[name])));
    return new Polygons(...arrays, packed.step, packed.notes);
  }

  constructor(steps, corners, rings, kinds, areas, confidences, step, notes) {
    Object.assign(this, { kinds, areas, confidences, notes });
    this.count = kinds.length;
    this.points = new Float32Array(steps.length);
    for (let i = 0, x = 0, y = 0; i < steps.length; i += 2) {
      this.points[i] = (x += steps[i]) * step;
      this.points[i + 1] = (y += steps[i + 1]) * step;
    }
    this.ringEnds = sums(corners);
    this.ends = sums(rings);
    this.boxes = this.findBoxes();
  }

  findBoxes() {
    const boxes = new Float32Array(4 * this.count);
    for (let k = 0, i = 0; k < this.count; k++) {
      const end = 2 * this.ringEnds[this.ends[k] - 1];
      let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
      for (; i < end; i += 2) {
        const x = this.points[i], y = this.points[i + 1];
        if (x < left) left = x;
        if (x > right) right = x;
        if (y < top) top = y;
        if (y > bottom) bottom = y;
      }
      boxes.set([left, top, right, bottom], 4 * k);
    }
    return boxes;
  }

  // Calls visit(first, end), indices of points, for each ring of polygon k.
  eachRing(k, visit) {
    for (let ring = k ? this.ends[k - 1] : 0; ring < this.ends[k]; ring++) {
      visit(ring ? this.ringEnds[ring - 1] : 0, this.ringEnds[ring]);
    }
  }

  trace(path, k) {
    this.eachRing(k, (first, end) => {
      path.moveTo(this.points[2 * first], this.points[2 * first + 1]);
      for (let i = first + 1; i < end; i++) path.lineTo(this.points[2 * i], this.points[2 * i + 1]);
      path.closePath();
    });
  }

  // Even-odd rule.
  holds(k, x, y) {
    let inside = false;
    this.eachRing(k, (first, end) => {
      for (let i = first, j = end - 1; i < end; j = i++) {
        const xi = this.points[2 * i], yi = this.points[2 * i + 1];
        const xj = this.points[2 * j], yj = this.points[2 * j + 1];
        if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
      }
    });
    return inside;
  }

  // The last polygon at a place for which wanted(k) is true; -1 for none.
  at(x, y, wanted) {
    const boxes = this.boxes;
    for (let k = this.count - 1; k >= 0; k--) {
      const b = 4 * k;
      if (boxes[b] <= x && x <= boxes[b + 2] && boxes[b + 1] <= y && y <= boxes[b + 3] && wanted(k)) {
        if (this.holds(k, x, y)) return k;
      }
    }
    return -1;
  }

  // Fills what is in view, the small ones as dots; too many outlines would hide what they surround.
  draw(ctx, seen, scale, wanted, colorOf) {
    const groups = this.inView(seen, scale, wanted, colorOf);
    const outlined = [...groups.values()].reduce((sum, group) => sum + group.whole.length, 0) < MOST_OUTLINES;
    ctx.lineJoin = "round";
    ctx.lineWidth = Math.min(1.6, 0.5 + scale) / scale;
    for (const [color, { dots, whole }] of groups) {
      ctx.fillStyle = ctx.strokeStyle = color;
      ctx.globalAlpha = 0.6;
      for (const k of dots) this.dot(ctx, k, 1 / scale);
      // a canvas takes far longer for one path of many polygons than for many paths of few
      for (let at = 0; at < whole.length; at += AT_ONCE) {
        const path = new Path2D();
        for (const k of whole.slice(at, at + AT_ONCE)) this.trace(path, k);
        ctx.globalAlpha = outlined ? 0.38 : 0.6;
        ctx.fill(path);
        ctx.globalAlpha = 1;
        if (outlined) ctx.stroke(path);
      }
    }
  }

  // By colour, the polygons to be drawn as dots and those to be drawn as they are.
  inView(seen, scale, wanted, colorOf) {
    const groups = new Map(), boxes = this.boxes, small = DOT / scale;
    for (let k = 0, b = 0; k < this.count; k++, b += 4) {
      if (boxes[b + 2] < seen[0] || boxes[b] > seen[2] || boxes[b + 3] < seen[1] || boxes[b + 1] > seen[3]) continue;
      if (!wanted(k)) continue;
      const color = colorOf(k);
      if (!groups.has(color)) groups.set(color, { dots: [], whole: [] });
      const { dots, whole } = groups.get(color);
      (boxes[b + 2] - boxes[b] < small && boxes[b + 3] - boxes[b + 1] < small ? dots : whole).push(k);
    }
    return groups;
  }

  // As a rectangle of the area that a polygon of its extent usually has, at least `least` wide.
  dot(ctx, k, least) {
    const [left, top, right, bottom] = this.boxes.subarray(4 * k, 4 * k + 4);
    const width = Math.max(least, 0.8 * (right - left)), height = Math.max(least, 0.8 * (bottom - top));
    ctx.fillRect((left + right - width) / 2, (top + bottom - height) / 2, width, height);
  }

  // Numbers of the polygons from the least certain one on.
  byDoubt() {
    const known = [...this.confidences.keys()].filter((k) => this.confidences[k] !== UNKNOWN);
    return known.sort((a, b) => this.confidences[a] - this.confidences[b] || this.areas[b] - this.areas[a]);
  }
}

function sums(counts) {
  const ends = new Uint32Array(counts.length);
  let end = 0;
  counts.forEach((count, i) => (ends[i] = end += count));
  return ends;
}
