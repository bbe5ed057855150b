// The viewer of excerpts: truth and prediction in space, to turn, to play and to set on top of each other.
// It reads the JSON that stands in the page and keeps what it shows in data-* attributes of its root element.
(function () {
  "use strict";

  const JOINTS = 17;
  const NOT_KNOWN = -32768;
  const VIEW = { azimuth: 35, elevation: 12, zoom: 1 };
  const CAMERA_DISTANCE_MM = 7000;
  const GRID_STEP_MM = 250;
  const GRID_REACH_MM = 1000;
  // How far the floor may follow the lowest joint from one frame to the next, as the width of an average in frames.
  const FLOOR_WINDOW = 9;
  // A view reaches at least so far, and at most so many times as far as the truth needs: what a broken model predicts
  // would make a speck of it.
  const LEAST_REACH_MM = 450;
  const MOST_REACH = 2;
  // Share of a view's half that is used.
  const FILLED = 0.92;
  const TURN_DEGREES = 6;
  const ZOOM_STEP = 1.15;

  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function clamp(value, low, high) {
    return Math.min(high, Math.max(low, value));
  }

  // Little-endian 16-bit integers in base64, in steps of `step` mm, to millimetres; NaN where nothing is known.
  function decoded(stored) {
    const bytes = atob(stored.values);
    const values = new Float32Array(bytes.length / 2);
    for (let index = 0; index < values.length; index += 1) {
      const word = bytes.charCodeAt(2 * index) | (bytes.charCodeAt(2 * index + 1) << 8);
      const number = word > 32767 ? word - 65536 : word;
      values[index] = number === NOT_KNOWN ? NaN : number * stored.step_mm;
    }
    return values;
  }

  // Mean distance of the joints of every frame, mm; NaN where the truth has none.
  function errors(truth, prediction) {
    const frames = truth.length / (3 * JOINTS);
    const found = new Float32Array(frames);
    for (let frame = 0; frame < frames; frame += 1) {
      let sum = 0;
      let count = 0;
      for (let joint = 0; joint < JOINTS; joint += 1) {
        const at = 3 * (frame * JOINTS + joint);
        const distance = Math.hypot(
          truth[at] - prediction[at], truth[at + 1] - prediction[at + 1], truth[at + 2] - prediction[at + 2]
        );
        if (Number.isFinite(distance)) {
          sum += distance;
          count += 1;
        }
      }
      found[frame] = count ? sum / count : NaN;
    }
    return found;
  }

  // Height of the floor under every frame: the truth's lowest joint, smoothed. y points down.
  function floors(truth) {
    const frames = truth.length / (3 * JOINTS);
    const lowest = Array.from({ length: frames }, function (_, frame) {
      let low = -Infinity;
      for (let joint = 0; joint < JOINTS; joint += 1) {
        const y = truth[3 * (frame * JOINTS + joint) + 1];
        low = y > low ? y : low;
      }
      return low;
    });
    return lowest.map(function (_, frame) {
      const near = lowest.slice(Math.max(0, frame - FLOOR_WINDOW), frame + FLOOR_WINDOW + 1).filter(Number.isFinite);
      return near.length ? near.reduce((sum, low) => sum + low, 0) / near.length : 900;
    });
  }

  // The middle of the height of poses, mm.
  function middle(poses) {
    let top = Infinity;
    let bottom = -Infinity;
    for (let at = 1; at < poses.length; at += 3) {
      if (Number.isFinite(poses[at])) {
        top = Math.min(top, poses[at]);
        bottom = Math.max(bottom, poses[at]);
      }
    }
    return Number.isFinite(top) ? (top + bottom) / 2 : 0;
  }

  // How far poses reach from there, up or down and to a side, mm, from wherever they are seen at the first elevation.
  function reach(poses, height) {
    const tilt = (VIEW.elevation * Math.PI) / 180;
    const found = { tall: LEAST_REACH_MM, wide: LEAST_REACH_MM };
    for (let at = 0; at < poses.length; at += 3) {
      const aside = Math.hypot(poses[at], poses[at + 2]);
      // What is near looks larger; nothing comes as near as half the distance of the camera.
      const near = CAMERA_DISTANCE_MM / (CAMERA_DISTANCE_MM - Math.min(aside, CAMERA_DISTANCE_MM / 2));
      const tall = near * (Math.abs(poses[at + 1] - height) * Math.cos(tilt) + aside * Math.sin(tilt));
      if (Number.isFinite(tall)) {
        found.tall = Math.max(found.tall, tall);
        found.wide = Math.max(found.wide, near * aside);
      }
    }
    return found;
  }

  // What a view must show: all of the truth, and of the prediction what is not beyond all measure; `clipped` says
  // whether it is.
  function extent(truth, prediction) {
    const height = middle(truth);
    const [own, other] = [truth, prediction].map((poses) => reach(poses, height));
    const most = { tall: MOST_REACH * own.tall, wide: MOST_REACH * own.wide };
    return {
      middle: height,
      tall: clamp(other.tall, own.tall, most.tall),
      wide: clamp(other.wide, own.wide, most.wide),
      clipped: other.tall > most.tall || other.wide > most.wide,
    };
  }

  function element(name, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    return made;
  }

  function option(text, value) {
    const made = document.createElement("option");
    made.textContent = text;
    made.value = value;
    return made;
  }

  function item(text) {
    const made = document.createElement("li");
    made.textContent = text;
    return made;
  }

  // With what a mouse says over it.
  function titled(drawn, text) {
    const title = element("title", {});
    title.textContent = text;
    drawn.append(title);
    return drawn;
  }

  function range(values) {
    const finite = [...values].filter(Number.isFinite);
    const mean = finite.reduce((sum, value) => sum + value, 0) / finite.length;
    return mean.toFixed(0) + " mm on average, " + Math.max(...finite).toFixed(0) + " mm at most";
  }

  function seconds(value) {
    return value.toFixed(2) + " s";
  }

  function millimetres(value) {
    return Number.isFinite(value) ? value.toFixed(0) + " mm" : "no truth";
  }

  class Viewer {
    constructor(root) {
      this.root = root;
      this.data = JSON.parse(root.querySelector(".viewer-data").textContent);
      this.part = (name) => root.querySelector('[data-part="' + name + '"]');
      this.canvas = this.part("canvas");
      this.scrubber = this.part("scrubber");
      this.truths = this.data.truths.map(decoded);
      this.view = { ...VIEW };
      this.pointers = new Map();
      this.place = 0; // in frames, with a fraction
      this.playing = false;
      this.overlay = false;
      this.fillModels();
      this.listen();
      this.part("stage").hidden = false;
      root.classList.add("alive");
      this.chooseModel(0);
    }

    fillModels() {
      this.data.models.forEach((model, index) => this.part("model").append(option(model.label, index)));
    }

    chooseModel(index) {
      const before = this.excerpt;
      this.model = this.data.models[index];
      const list = this.part("sequence");
      list.replaceChildren(...this.model.excerpts.map((excerpt, number) => option(excerpt.label, number)));
      const same = this.model.excerpts.findIndex((excerpt) => before && excerpt.label === before.label);
      this.root.dataset.model = this.model.label;
      this.chooseSequence(Math.max(0, same), same >= 0);
    }

    chooseSequence(index, keepPlace) {
      this.excerpt = this.model.excerpts[index];
      this.part("sequence").value = index;
      this.truth = this.truths[this.excerpt.truth];
      this.prediction = decoded(this.excerpt.prediction);
      this.errors = errors(this.truth, this.prediction);
      this.floors = floors(this.truth);
      this.extent = extent(this.truth, this.prediction);
      this.root.dataset.clipped = String(this.extent.clipped);
      this.part("clipped").hidden = !this.extent.clipped;
      this.frames = this.errors.length;
      this.scrubber.max = this.frames - 1;
      this.root.dataset.sequence = this.excerpt.sequence;
      this.part("reason").textContent = this.excerpt.why;
      this.part("prediction-name").textContent = this.model.label + ", seed " + this.model.seed;
      this.drawCurve();
      this.goTo(keepPlace ? this.place : 0);
    }

    listen() {
      this.part("model").addEventListener("change", (event) => this.chooseModel(Number(event.target.value)));
      this.part("sequence").addEventListener("change", (event) => this.chooseSequence(Number(event.target.value), false));
      this.part("play").addEventListener("click", () => this.play(!this.playing));
      this.scrubber.addEventListener("input", () => this.goTo(Number(this.scrubber.value)));
      this.scrubber.addEventListener("keydown", (event) => this.onSpace(event));
      this.part("overlay").addEventListener("click", () => this.setOverlay(!this.overlay));
      this.part("closer").addEventListener("click", () => this.zoom(ZOOM_STEP));
      this.part("farther").addEventListener("click", () => this.zoom(1 / ZOOM_STEP));
      this.part("reset").addEventListener("click", () => this.look({ ...VIEW }));
      this.part("curve").addEventListener("pointerdown", (event) => this.seek(event));
      this.part("curve").addEventListener("pointermove", (event) => event.buttons && this.seek(event));
      this.listenToCanvas();
      dark.addEventListener("change", () => this.draw());
      new ResizeObserver(() => this.draw()).observe(this.canvas);
      new IntersectionObserver((seen) => seen.at(-1).isIntersecting || this.play(false)).observe(this.canvas);
      document.addEventListener("visibilitychange", () => document.hidden && this.play(false));
    }

    listenToCanvas() {
      const canvas = this.canvas;
      canvas.addEventListener("keydown", (event) => this.onKey(event));
      canvas.addEventListener("pointerdown", (event) => {
        this.pointers.set(event.pointerId, event);
        canvas.setPointerCapture(event.pointerId);
      });
      canvas.addEventListener("pointermove", (event) => this.onDrag(event));
      ["pointerup", "pointercancel"].forEach((name) =>
        canvas.addEventListener(name, (event) => this.pointers.delete(event.pointerId))
      );
      // Whoever only scrolls past is not caught: the wheel zooms once the view was clicked or reached by keyboard.
      canvas.addEventListener("wheel", (event) => {
        if (document.activeElement === canvas || event.ctrlKey) {
          event.preventDefault();
          this.zoom(Math.exp(-event.deltaY / 600));
        }
      }, { passive: false });
    }

    onSpace(event) {
      if (event.key === " ") {
        event.preventDefault();
        this.play(!this.playing);
      }
    }

    onKey(event) {
      const turns = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
      const zooms = { "+": ZOOM_STEP, "=": ZOOM_STEP, "-": 1 / ZOOM_STEP };
      if (event.ctrlKey || event.metaKey || event.altKey) {
        return;
      }
      if (turns[event.key]) {
        event.preventDefault();
        this.turn(...turns[event.key].map((step) => step * TURN_DEGREES));
      } else if (zooms[event.key]) {
        event.preventDefault();
        this.zoom(zooms[event.key]);
      } else if (event.key === "0") {
        this.look({ ...VIEW });
      }
      this.onSpace(event);
    }

    onDrag(event) {
      const before = this.pointers.get(event.pointerId);
      if (!before) {
        return;
      }
      if (this.pointers.size === 1) {
        this.turn(0.4 * (event.clientX - before.clientX), 0.4 * (event.clientY - before.clientY));
      } else {
        const [other] = [...this.pointers.values()].filter((pointer) => pointer.pointerId !== event.pointerId);
        const apart = (pointer) => Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY);
        this.zoom(apart(event) / Math.max(1, apart(before)));
      }
      this.pointers.set(event.pointerId, event);
    }

    seek(event) {
      const box = this.part("curve").getBoundingClientRect();
      this.goTo(Math.round(clamp((event.clientX - box.left) / box.width, 0, 1) * (this.frames - 1)));
    }

    turn(azimuth, elevation) {
      this.look({
        azimuth: ((this.view.azimuth + azimuth + 540) % 360) - 180,
        elevation: clamp(this.view.elevation + elevation, -15, 89),
        zoom: this.view.zoom,
      });
    }

    zoom(factor) {
      this.look({ ...this.view, zoom: clamp(this.view.zoom * factor, 0.4, 6) });
    }

    look(view) {
      this.view = view;
      this.draw();
    }

    setOverlay(overlay) {
      this.overlay = overlay;
      this.part("overlay").setAttribute("aria-pressed", String(overlay));
      this.root.dataset.overlay = String(overlay);
      this.draw();
    }

    play(playing) {
      if (playing === this.playing) {
        return;
      }
      this.playing = playing;
      this.root.dataset.playing = String(playing);
      this.part("play").textContent = playing ? "Pause" : "Play";
      if (playing) {
        if (this.place >= this.frames - 1) {
          this.place = 0;
        }
        this.drawnAt = null;
        requestAnimationFrame((now) => this.step(now));
      } else {
        this.goTo(Math.round(this.place));
      }
    }

    step(now) {
      if (!this.playing) {
        return;
      }
      const passed_s = this.drawnAt === null ? 0 : Math.min(0.25, (now - this.drawnAt) / 1000);
      this.drawnAt = now;
      const last = this.frames - 1;
      const place = this.place + passed_s * this.excerpt.fps * Number(this.part("speed").value);
      if (place > last && still.matches) {
        this.place = last;
        this.play(false);
        return;
      }
      this.goTo(place > last ? 0 : place);
      requestAnimationFrame((later) => this.step(later));
    }

    goTo(place) {
      this.place = clamp(place, 0, this.frames - 1);
      const frame = Math.round(this.place);
      const at = seconds(this.place / this.excerpt.fps);
      const error = millimetres(this.errors[frame]);
      this.scrubber.value = frame;
      this.scrubber.setAttribute("aria-valuetext", at + ", error " + error);
      this.part("time").textContent = at + " of " + seconds((this.frames - 1) / this.excerpt.fps);
      this.part("error").textContent = error;
      this.root.dataset.frame = String(frame);
      this.moveCursor();
      this.draw();
    }

    // The pose at the current place, between two frames where it lies between them.
    pose(values) {
      const frame = Math.floor(this.place);
      const next = Math.min(frame + 1, this.frames - 1);
      const share = this.place - frame;
      const size = 3 * JOINTS;
      return Array.from({ length: size }, function (_, index) {
        const here = values[frame * size + index];
        return share ? here + share * (values[next * size + index] - here) : here;
      });
    }

    drawCurve() {
      const curve = this.part("curve");
      // Shared excerpts have the other models' curves behind the chosen one.
      const others = this.data.models.flatMap((model) =>
        model.excerpts
          .filter((other) => model !== this.model && other.truth === this.excerpt.truth)
          .map((other) => [model.label, errors(this.truth, decoded(other.prediction))])
      );
      const behind = others.filter(([, values]) => values.some(Number.isFinite));
      // Scaled to the chosen model: one that is far worse would flatten it.
      const finite = [...this.errors].filter(Number.isFinite);
      this.highest = 1.1 * Math.max(1, ...finite);
      curve.replaceChildren(
        ...behind.map(([name, values]) => titled(element("path", { d: this.path(values), class: "behind" }), name)),
        element("path", { d: this.path(this.errors), class: "chosen" }),
        element("line", { class: "cursor", y1: 0, y2: 100 })
      );
      this.part("highest").textContent = this.highest.toFixed(0) + " mm";
      this.part("curve-note").hidden = behind.length === 0;
      this.part("others").hidden = behind.length === 0;
      const cut = behind.filter(([, values]) => values.some((value) => value > this.highest)).length;
      this.part("cut").textContent = cut ? "; " + cut + " of them leave" + (cut === 1 ? "s" : "") + " it at the top" : "";
      this.part("other-names").replaceChildren(...behind.map(([name, values]) => item(name + ": " + range(values))));
    }

    path(values) {
      let pen = "M";
      let drawn = "";
      values.forEach((value, frame) => {
        if (!Number.isFinite(value)) {
          pen = "M";
          return;
        }
        const x = (1000 * frame) / Math.max(1, this.frames - 1);
        drawn += pen + x.toFixed(1) + " " + (98 - (96 * value) / this.highest).toFixed(1);
        pen = "L";
      });
      return drawn;
    }

    moveCursor() {
      const x = (1000 * this.place) / Math.max(1, this.frames - 1);
      const cursor = this.part("curve").querySelector(".cursor");
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
    }

    draw() {
      const { width, height } = this.canvas.getBoundingClientRect();
      if (!width || !this.excerpt) {
        return;
      }
      const density = window.devicePixelRatio || 1;
      const pixels = [Math.round(width * density), Math.round(height * density)];
      if (this.canvas.width !== pixels[0] || this.canvas.height !== pixels[1]) {
        [this.canvas.width, this.canvas.height] = pixels;
      }
      const pen = this.canvas.getContext("2d");
      pen.setTransform(density, 0, 0, density, 0, 0);
      pen.clearRect(0, 0, width, height);
      this.colours = this.readColours();
      const truth = this.pose(this.truth);
      const prediction = this.pose(this.prediction);
      const half = this.overlay ? width : width / 2;
      const panels = this.overlay
        ? [[0, [[truth, true], [prediction, false]]]]
        : [[0, [[truth, false]]], [half, [[prediction, false]]]];
      panels.forEach(([left, poses]) => this.drawPanel(pen, { left, width: half, height }, poses));
      Object.assign(this.root.dataset, {
        azimuth: this.view.azimuth.toFixed(0), elevation: this.view.elevation.toFixed(0),
        zoom: this.view.zoom.toFixed(2),
      });
    }

    readColours() {
      const style = getComputedStyle(this.root);
      const names = ["left", "right", "ink", "muted", "line", "paper"];
      return Object.fromEntries(names.map((name) => [name, style.getPropertyValue("--" + name).trim()]));
    }

    drawPanel(pen, box, poses) {
      pen.save();
      pen.beginPath();
      pen.rect(box.left, 0, box.width, box.height);
      pen.clip();
      const project = this.projection(box);
      this.drawFloor(pen, project);
      if (poses.length > 1) {
        this.drawOffsets(pen, project, poses[0][0], poses[1][0]);
      }
      poses.forEach(([pose, ghost]) => this.drawPose(pen, project, pose, ghost));
      pen.restore();
    }

    // (x, y, z) in camera space to (right, down, depth scale) on the canvas.
    projection(box) {
      const turn = (this.view.azimuth * Math.PI) / 180;
      const tilt = (this.view.elevation * Math.PI) / 180;
      const [cosine, sine, level, rise] = [Math.cos(turn), Math.sin(turn), Math.cos(tilt), Math.sin(tilt)];
      const fits = Math.min(box.height / this.extent.tall, box.width / this.extent.wide);
      const scale = 0.5 * FILLED * this.view.zoom * fits;
      const middle = [box.left + box.width / 2, box.height / 2];
      return (x, y, z) => {
        const up = this.extent.middle - y;
        const near = -x * sine - z * cosine;
        const right = x * cosine - z * sine;
        const perspective = CAMERA_DISTANCE_MM / (CAMERA_DISTANCE_MM - (up * rise + near * level));
        return [
          middle[0] + scale * perspective * right,
          middle[1] - scale * perspective * (up * level - near * rise),
          perspective,
        ];
      };
    }

    drawFloor(pen, project) {
      const frame = Math.floor(this.place);
      const next = Math.min(frame + 1, this.frames - 1);
      const y = this.floors[frame] + (this.place - frame) * (this.floors[next] - this.floors[frame]);
      pen.strokeStyle = this.colours.line;
      pen.lineWidth = 1;
      pen.beginPath();
      for (let place = -GRID_REACH_MM; place <= GRID_REACH_MM; place += GRID_STEP_MM) {
        [[[place, -GRID_REACH_MM], [place, GRID_REACH_MM]], [[-GRID_REACH_MM, place], [GRID_REACH_MM, place]]].forEach(
          ([from, to]) => {
            pen.moveTo(...project(from[0], y, from[1]).slice(0, 2));
            pen.lineTo(...project(to[0], y, to[1]).slice(0, 2));
          }
        );
      }
      pen.stroke();
    }

    // From every joint of the truth to the predicted one.
    drawOffsets(pen, project, truth, prediction) {
      pen.strokeStyle = this.colours.muted;
      pen.lineWidth = 1;
      pen.beginPath();
      for (let at = 0; at < truth.length; at += 3) {
        const ends = [truth, prediction].map((pose) => project(pose[at], pose[at + 1], pose[at + 2]));
        if (ends.flat().every(Number.isFinite)) {
          pen.moveTo(ends[0][0], ends[0][1]);
          pen.lineTo(ends[1][0], ends[1][1]);
        }
      }
      pen.stroke();
    }

    // A ghost is the truth behind a prediction: grey and dashed.
    drawPose(pen, project, pose, ghost) {
      const points = Array.from({ length: JOINTS }, (_, joint) => project(...pose.slice(3 * joint, 3 * joint + 3)));
      const bones = this.data.bones
        .filter((bone) => bone.every((joint) => points[joint].every(Number.isFinite)))
        .sort((one, other) => points[one[0]][2] + points[one[1]][2] - points[other[0]][2] - points[other[1]][2]);
      const width = clamp(this.canvas.clientHeight / 90, 2.5, 6) * (ghost ? 0.55 : 1);
      pen.lineCap = "round";
      pen.setLineDash(ghost ? [1.2 * width, 2.2 * width] : []);
      bones.forEach(([parent, joint]) => {
        pen.strokeStyle = ghost ? this.colours.ink : this.colours[this.data.sides[joint]];
        pen.lineWidth = width * points[joint][2];
        pen.beginPath();
        pen.moveTo(points[parent][0], points[parent][1]);
        pen.lineTo(points[joint][0], points[joint][1]);
        pen.stroke();
      });
      pen.setLineDash([]);
      if (!ghost) {
        this.drawJoints(pen, points, width);
      }
    }

    drawJoints(pen, points, width) {
      points.forEach(([right, down, perspective], joint) => {
        if (Number.isFinite(right)) {
          pen.fillStyle = this.colours.paper;
          pen.strokeStyle = this.colours[this.data.sides[joint]];
          pen.lineWidth = width / 3;
          pen.beginPath();
          pen.arc(right, down, 0.62 * width * perspective, 0, 2 * Math.PI);
          pen.fill();
          pen.stroke();
        }
      });
    }
  }

  document.querySelectorAll(".viewer").forEach((root) => new Viewer(root));
})();
