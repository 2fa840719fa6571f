// The picture: a point for each image, drawn by regl-scatterplot.
//
// It reports what the reader does by four functions: over(image), out(), choose(image), box(images).

const DURATION_MS = 600;
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// What draws the points, of a context of our own: the library's smooths borders once more, which the
// points do themselves, and keeps what it drew; without a graphics card both cost a seventh of the
// frames.
function renderer() {
  const canvas = document.createElement("canvas");
  if (!canvas.getContext("webgl", { antialias: false })) throw new Error("no WebGL");
  return ReglScatterplot.createRenderer({ canvas });
}

// The distance of the camera from which all points are seen: at 1 they fill the height, whatever
// the width.
function allInSight(width, height) {
  return 1.03 * Math.max(1, height / width);
}

export class Scatter {
  constructor(canvas, count, { over, out, choose, box, moved }) {
    this.canvas = canvas;
    const { width, height } = canvas.parentElement.getBoundingClientRect();
    this.plot = ReglScatterplot.createScatterplot({
      canvas,
      renderer: renderer(),
      width,
      height,
      cameraDistance: allInSight(width, height),
      pointSize: count > 20000 ? 3 : 5,
      pointSizeSelected: 4,
      pointOutlineWidth: 2,
      opacity: 0.85,
      backgroundColor: "#ffffff",
      pointColorActive: "#000000",
      pointColorHover: "#000000",
      lassoType: "rectangle",
      lassoColor: "#000000",
      colorBy: "valueA",
    });
    this.resize();
    this.boxed = false;
    this.drawing = Promise.resolve();
    this.held = false; // whether a button of the mouse is: then the picture moves, or a box grows
    this.plot.subscribe("pointover", (image) => {
      if (!this.held) over(image);
    });
    this.plot.subscribe("pointout", () => {
      if (!this.held) out();
    });
    this.plot.subscribe("lassoStart", () => {
      this.boxed = true;
    });
    this.plot.subscribe("lassoEnd", () =>
      setTimeout(() => {
        this.boxed = false;
      }),
    );
    this.plot.subscribe("select", ({ points }) => (this.boxed ? box(points) : choose(points[0])));
    this.plot.subscribe("view", moved);
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    canvas.addEventListener("mousedown", () => {
      this.held = true;
      out();
    });
    addEventListener("mouseup", () => {
      this.held = false;
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  // Draw all points; x, y: numbers from -1 to 1; colour: for each point a position in `colours`;
  // order: of the points, the last above the others, or null for their own; shown: which are drawn.
  // Points move from where they were, unless the reader wants none of that. One drawing waits for
  // another, and of several that wait the last alone is done.
  draw(points, colours, order, shown) {
    this.next = { points, colours, order, shown };
    this.drawing = this.drawing.then(() => this.drawNext());
    return this.drawing;
  }

  async drawNext() {
    if (!this.next) return;
    const { points, colours, order, shown } = this.next;
    this.next = null;
    this.plot.set({ pointColor: colours });
    const moves = this.last && !calm() && (this.last.x !== points.x || this.last.y !== points.y);
    this.last = points;
    await this.plot.draw(
      { x: points.x, y: points.y, valueA: points.colour },
      { transition: moves, transitionDuration: DURATION_MS, zDataType: "categorical" },
    );
    this.plot.set({ pointOrder: order });
    if (shown) await this.plot.filter(shown, { preventEvent: true });
  }

  // Mark some images as chosen, without a report of it.
  mark(images) {
    if (images.length) this.plot.select(images, { preventEvent: true });
    else this.plot.deselect({ preventEvent: true });
  }

  // Where a point is, in pixels of the canvas.
  place(image) {
    return this.plot.getScreenPosition(image);
  }

  boxMode(on) {
    this.plot.set({ mouseMode: on ? "lasso" : "panZoom" });
  }

  whole() {
    const { width, height } = this.canvas.parentElement.getBoundingClientRect();
    return this.plot.zoomToLocation([0, 0], allInSight(width, height), {
      transition: !calm(),
      transitionDuration: DURATION_MS,
    });
  }

  zoomTo(images) {
    return this.plot.zoomToPoints(images, {
      padding: 0.4,
      transition: !calm(),
      transitionDuration: DURATION_MS,
    });
  }

  resize() {
    const { width, height } = this.canvas.parentElement.getBoundingClientRect();
    if (!width || !height) return;
    // Its own bound is the screen, which a window may exceed where the browser zooms out.
    this.plot.get("renderer").resize(width, height);
    this.plot.set({ width, height });
  }

  // Arrows move the picture by a fifth of what it shows, + and - zoom.
  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const zooms = { "+": 0.8, "=": 0.8, "-": 1.25 };
    const {
      target: [x, y],
      distance,
    } = this.plot.get("camera");
    const step = 0.2 * distance;
    const [right, up] = moves[event.key] || [0, 0];
    if (!moves[event.key] && !zooms[event.key]) return;
    event.preventDefault();
    this.plot.zoomToLocation([x + right * step, y + up * step], distance * (zooms[event.key] || 1));
  }
}
