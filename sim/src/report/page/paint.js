// Draws the timeline: lanes from top to bottom, virtual time from left to right.
function paint() {
  const pen = prepare(canvas);
  const shown = data.servers.map((_, number) => number).filter(number => filter.servers.has(number));
  const room = at('lanes-scroll').clientHeight - TOP - 4;
  const lane = Math.max(shown.length > 20 ? 30 : 58, Math.min(shown.length > 3 ? 140 : 240, room / Math.max(shown.length, 1)));
  const height = TOP + lane * shown.length + 4;
  if (canvas.clientHeight !== Math.round(height)) { canvas.style.height = Math.round(height) + 'px'; return repaint(); }
  const width = canvas.clientWidth;
  const x = time => LEFT + (time - view.from) / (view.to - view.from) * (width - LEFT);
  const rows = new Map(shown.map((number, row) => [number, TOP + row * lane + lane * 0.46]));
  const scene = { pen, x, rows, lane, width, height, taken: [], sees: (from, to) => to >= view.from && from <= view.to };
  hits = [];
  pen.save();
  axis(scene);
  pen.beginPath();
  pen.rect(LEFT, 0, width - LEFT, height);
  pen.clip();
  splits(scene);
  partitions(scene);
  lives(scene);
  spans(scene);
  operations(scene);
  const drawn = messageLines(scene);
  marks(scene);
  moments(scene);
  pen.restore();
  laneNames(scene);
  Object.assign(canvas.dataset, { lanes: shown.length, messages: drawn });
  paintOverview();
}

function prepare(surface) {
  const ratio = devicePixelRatio || 1, { clientWidth: width, clientHeight: height } = surface;
  if (surface.width !== Math.round(width * ratio) || surface.height !== Math.round(height * ratio)) {
    surface.width = Math.round(width * ratio);
    surface.height = Math.round(height * ratio);
  }
  const pen = surface.getContext('2d');
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = '11px system-ui, "DejaVu Sans", sans-serif';
  pen.textBaseline = 'middle';
  return pen;
}

// Writes unless something is written there already.
function write({ pen, taken }, text, left, y, shade, most = Infinity) {
  const width = pen.measureText(text).width;
  if (width > most) return false;
  const box = [left - 2, y - 7, width + 4, 14];
  if (taken.some(([a, b, c, d]) => box[0] < a + c && a < box[0] + box[2] && box[1] < b + d && b < box[1] + box[3])) return false;
  taken.push(box);
  pen.fillStyle = shade;
  pen.fillText(text, left, y);
  return true;
}

function axis(scene) {
  const { pen, x, width, height } = scene;
  const span = view.to - view.from, rough = span / Math.max(2, (width - LEFT) / 110);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(step => step >= rough);
  const digits = Math.max(0, Math.min(6, 6 - Math.floor(Math.log10(step))));
  pen.strokeStyle = color('line');
  pen.lineWidth = 1;
  for (let time = Math.ceil(view.from / step) * step; time <= view.to; time += step) {
    const left = Math.round(x(time)) + 0.5;
    pen.beginPath();
    pen.moveTo(left, 28);
    pen.lineTo(left, height);
    pen.globalAlpha = 0.5;
    pen.stroke();
    pen.globalAlpha = 1;
    pen.fillStyle = color('dim');
    pen.textAlign = 'center';
    if (left > LEFT + 20 && left < width - 24) pen.fillText((time / 1e6).toFixed(digits) + ' s', left, 21);
    pen.textAlign = 'left';
  }
}

function laneNames({ pen, rows, lane }) {
  for (const [number, y] of rows) {
    const server = data.servers[number];
    pen.fillStyle = color('panel');
    pen.fillRect(0, y - lane * 0.46, LEFT - 4, lane - 1);
    pen.fillStyle = color('text');
    pen.font = '600 13px system-ui, "DejaVu Sans", sans-serif';
    pen.fillText(serverName(number), 10, y);
    pen.font = '11px system-ui, "DejaVu Sans", sans-serif';
    pen.fillStyle = color(server.liar ? 'attack' : 'dim');
    if (server.liar) pen.fillText('☠ liar', 40, y);
    hits.push({ ref: 'server=' + number, rect: [0, y - lane * 0.4, LEFT - 6, lane * 0.8], wide: true, tip: () => server.name });
  }
}

function lives(scene) {
  const { pen, x, rows, sees } = scene;
  const last = new Map();
  for (const life of data.lives) {
    const y = rows.get(life.s);
    if (y === undefined) continue;
    const gone = last.get(life.s);
    if (gone !== undefined && sees(gone, life.from)) {
      pen.fillStyle = color('down');
      pen.fillRect(x(gone), y - 5, Math.max(2, x(life.from) - x(gone)), 10);
      hatch(pen, x(gone), y - 5, Math.max(2, x(life.from) - x(gone)), 10, color('bad'));
      write(scene, 'down', x(gone) + 9, y - 13, color('bad'), x(life.from) - x(gone) - 10);
    }
    const to = life.to ?? data.end;
    if (life.to !== undefined) last.set(life.s, life.to);
    if (!sees(life.from, to)) continue;
    pen.fillStyle = color('life');
    pen.fillRect(x(life.from), y - 3.5, Math.max(1, x(to) - x(life.from)), 7);
    hits.push({ ref: life.ref, rect: [x(life.from), y - 3, x(to) - x(life.from), 6], wide: true, tip: () => `life ${life.life} of ${serverName(life.s)}: ${seconds(life.from)} to ${seconds(to)}` });
    if (life.to !== undefined) {
      pen.fillStyle = color('bad');
      pen.fillRect(x(life.to) - 1.5, y - 9, 3, 18);
    }
  }
  // What is down when the world ends stays down.
  for (const [server, from] of last) {
    const again = data.lives.some(life => life.s === server && life.from >= from);
    const y = rows.get(server);
    if (!again && y !== undefined) hatch(pen, x(from), y - 5, x(data.end) - x(from), 10, color('bad'));
  }
}

function hatch(pen, left, top, width, height, shade) {
  const from = Math.max(left, LEFT), to = Math.min(left + width, pen.canvas.clientWidth);
  if (to - from < 3) return;
  pen.save();
  pen.beginPath();
  pen.rect(from, top, to - from, height);
  pen.clip();
  pen.strokeStyle = shade;
  pen.lineWidth = 1;
  pen.globalAlpha *= 0.6;
  pen.beginPath();
  for (let at = from - height; at < to; at += 6) { pen.moveTo(at, top + height); pen.lineTo(at + height, top); }
  pen.stroke();
  pen.restore();
}

function partitions(scene) {
  const { pen, x, rows, sees } = scene;
  for (const fault of data.faults) {
    if (fault.from === undefined || fault.to === undefined || fault.from === fault.s) continue;
    const [a, b] = [rows.get(fault.from), rows.get(fault.s)];
    if (a === undefined || b === undefined || !sees(fault.at, fault.to)) continue;
    const [left, right, top, bottom] = [x(fault.at), x(fault.to), Math.min(a, b) + 9, Math.max(a, b) - 9];
    pen.fillStyle = color('net');
    pen.globalAlpha = 0.06;
    pen.fillRect(left, top, right - left, bottom - top);
    pen.globalAlpha = 0.35;
    hatch(pen, left, top, right - left, 5, color('net'));
    hatch(pen, left, bottom - 5, right - left, 5, color('net'));
    pen.globalAlpha = 0.8;
    pen.strokeStyle = color('net');
    pen.lineWidth = 1.3;
    pen.setLineDash([5, 3]);
    pen.strokeRect(left, top, right - left, bottom - top);
    pen.setLineDash([]);
    pen.globalAlpha = 1;
    const text = `✂ ${serverName(fault.from)} ${fault.oneWay ? '→' : '⇄'} ${serverName(fault.s)}`;
    write(scene, text, Math.max(left, LEFT) + 5, top - 9 + scene.lane * 0.54, color('net'), right - Math.max(left, LEFT) - 8);
    const told = () => `partition ${text.slice(2)}: ${seconds(fault.at)} to ${seconds(fault.to)}`;
    for (const rect of [[left, top, right - left, 6], [left, bottom - 6, right - left, 6], [left - 2, top, 4, bottom - top], [right - 2, top, 4, bottom - top]]) {
      hits.push({ ref: fault.ref, rect, wide: true, tip: told });
    }
  }
}

// While all servers are on islands.
function splits(scene) {
  const { pen, x, height, sees } = scene;
  for (const fault of data.faults) {
    if (!fault.islands || !sees(fault.at, fault.to)) continue;
    const [left, width] = [x(fault.at), x(fault.to) - x(fault.at)];
    pen.fillStyle = color('net');
    pen.globalAlpha = 0.08;
    pen.fillRect(left, TOP - 10, width, height);
    pen.globalAlpha = 0.8;
    hatch(pen, left, TOP - 10, width, 6, color('net'));
    pen.globalAlpha = 1;
    write(scene, '✂ ' + islands(fault), Math.max(left, LEFT) + 4, TOP + 4, color('net'));
    hits.push({ ref: fault.ref, rect: [left, TOP - 12, width, 10], tip: () => `split: ${islands(fault)}\n${seconds(fault.at)} to ${seconds(fault.to)}` });
  }
}

function spans(scene) {
  const { pen, x, rows, sees } = scene;
  for (const fault of data.faults) {
    const y = rows.get(fault.s);
    if (y === undefined || fault.from !== undefined || fault.islands || !sees(fault.at, fault.to ?? fault.at)) continue;
    const shade = color(/Outage|Isolation/.test(fault.kind) ? 'net' : 'disk');
    const left = x(fault.at), width = fault.to === undefined ? 0 : Math.max(3, x(fault.to) - left);
    const told = () => `${fault.kind} of ${serverName(fault.s)} at ${seconds(fault.at)}`;
    if (width) {
      pen.fillStyle = shade;
      pen.globalAlpha = 0.75;
      pen.fillRect(left, y - 12, width, 5);
      pen.globalAlpha = 1;
      write(scene, fault.kind, Math.max(left, LEFT) + 2, y - 20, shade);
      hits.push({ ref: fault.ref, rect: [left, y - 13, width, 7], tip: told });
    } else {
      pen.fillStyle = shade;
      pen.beginPath();
      pen.moveTo(left - 4, y - 16);
      pen.lineTo(left + 4, y - 16);
      pen.lineTo(left, y - 8);
      pen.fill();
      hits.push({ ref: fault.ref, rect: [left - 4, y - 16, 8, 8], tip: told });
    }
  }
}

const OUTCOMES = { Acknowledged: 'good', Refused: 'warn', Skipped: 'quiet', Unrecognized: 'quiet' };

function operations(scene) {
  const { pen, x, rows, lane, sees } = scene;
  const free = new Map();
  // Tall enough for a word, where there is room.
  const tall = lane > 68 ? Math.min(12, (lane * 0.54 - 14) / 3) : Math.max(2, (lane * 0.54 - 14) / 4);
  const lines = lane > 68 ? 3 : 4;
  for (const op of data.ops) {
    const y = rows.get(op.s);
    if (y === undefined) continue;
    const ends = free.get(op.s) || free.set(op.s, new Array(lines).fill(0)).get(op.s);
    let row = ends.findIndex(end => end <= op.from);
    if (row < 0) row = ends.indexOf(Math.min(...ends));
    ends[row] = op.came;
    if (!sees(op.from, op.came)) continue;
    const [left, width] = [x(op.from), Math.max(3, x(op.came) - x(op.from))];
    const top = y + 8 + row * (tall + 1.5);
    pen.fillStyle = color(OUTCOMES[op.done] || 'bad');
    pen.globalAlpha = op.ref === view.ref || op.ref === hovered ? 1 : 0.8;
    pen.fillRect(left, top, width, tall);
    pen.globalAlpha = 1;
    if (op.ref === view.ref) { pen.strokeStyle = color('text'); pen.lineWidth = 1.5; pen.strokeRect(left - 1.5, top - 1.5, width + 3, tall + 3); }
    const inside = Math.max(left, LEFT);
    if (tall > 9) write({ pen, taken: [] }, op.kind, inside + 3, top + tall / 2 + 0.5, color('page'), left + width - inside - 5);
    hits.push({ ref: op.ref, rect: [left, top, width, tall], tip: () => `${op.kind} by u${op.user} (${op.done || 'not over'}), operation ${op.n}\n${seconds(op.from)} to ${seconds(op.came)}` });
  }
}

// The messages that what is selected is about.
function emphasized() {
  const { kind, it } = find(view.ref);
  if (!it) return null;
  if (kind === 'message') return new Set([it]);
  if (kind === 'event' && it.carriers.length) return new Set(it.carriers.map(carrier => carrier.message));
  return null;
}

function messageLines(scene) {
  const { pen, x, rows, lane, sees } = scene;
  const visible = data.messages.filter(message => passes(message) && sees(message.sent, message.came));
  const chosen = emphasized();
  const thin = visible.length > 400 ? 0.35 : visible.length > 120 ? 0.55 : 0.8;
  for (const message of visible) {
    const to = rows.get(message.to);
    // People stand above their server.
    const from = message.isClient ? to - lane * 0.42 : rows.get(message.from);
    const on = chosen ? chosen.has(message) : message.ref === hovered;
    pen.strokeStyle = pen.fillStyle = color(message.kind);
    pen.globalAlpha = on ? 1 : chosen ? 0.1 : message.hot ? 0.95 : thin;
    pen.lineWidth = on ? 2.4 : message.hot ? 1.8 : 1.1;
    const told = () => `${KINDS[message.kind]}: ${message.isClient ? message.task : serverName(message.from)} → ${serverName(message.to)}\n${message.method} ${message.path}\nsent ${seconds(message.sent, 6)}` +
      (message.arrived === undefined ? ', lost' : '') + (message.status ? `, answered ${message.status}` : '') + ((message.carries || []).length ? `\ncarries ${message.carries.length} events` : '');
    const arrived = message.arrived ?? message.end ?? data.end;
    const share = message.arrived === undefined ? 0.55 : 1;
    const request = [x(message.sent), from, x(message.sent) + (x(arrived) - x(message.sent)) * share, from + (to - from) * share];
    stroke(pen, request, message.hot && !chosen);
    hits.push({ ref: message.ref, line: request, tip: told });
    if (share < 1) cross(pen, request[2], request[3]);
    else arrow(pen, request);
    if (message.answered !== undefined) {
      const lost = message.lost !== undefined;
      const part = lost ? 0.55 : 1, came = message.end ?? data.end;
      const answer = [x(message.answered), to, x(message.answered) + (x(came) - x(message.answered)) * part, to + (from - to) * part];
      pen.setLineDash([3, 4]);
      pen.lineWidth = on ? 1.6 : 0.8;
      stroke(pen, answer, false);
      pen.setLineDash([]);
      hits.push({ ref: message.ref, line: answer, tip: told });
      if (lost) cross(pen, answer[2], answer[3]);
    }
  }
  pen.globalAlpha = 1;
  return visible.length;
}

function stroke(pen, [x1, y1, x2, y2], halo) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  if (halo) {
    pen.save();
    pen.strokeStyle = color('hot');
    pen.globalAlpha = 0.3;
    pen.lineWidth = 5;
    pen.stroke();
    pen.restore();
  }
  pen.stroke();
}

function arrow(pen, [x1, y1, x2, y2]) {
  const turn = Math.atan2(y2 - y1, x2 - x1);
  pen.beginPath();
  pen.moveTo(x2, y2);
  pen.lineTo(x2 - 7 * Math.cos(turn - 0.35), y2 - 7 * Math.sin(turn - 0.35));
  pen.lineTo(x2 - 7 * Math.cos(turn + 0.35), y2 - 7 * Math.sin(turn + 0.35));
  pen.fill();
}

function cross(pen, x, y) {
  pen.save();
  pen.strokeStyle = color('bad');
  pen.lineWidth = 1.8;
  pen.beginPath();
  pen.moveTo(x - 3.5, y - 3.5); pen.lineTo(x + 3.5, y + 3.5);
  pen.moveTo(x + 3.5, y - 3.5); pen.lineTo(x - 3.5, y + 3.5);
  pen.stroke();
  pen.restore();
}

function marks(scene) {
  const { pen, x, rows, sees } = scene;
  for (const note of data.notes) {
    const y = rows.get(note.s);
    const sign = /^attack/.test(note.text) ? '✸' : /^clock/.test(note.text) ? '◷' : /^crash/.test(note.text) ? '✖' : /^start/.test(note.text) ? '' : '•';
    if (y === undefined || !sign || !sees(note.at, note.at)) continue;
    pen.fillStyle = color(sign === '✸' ? 'attack' : sign === '✖' ? 'bad' : 'text');
    pen.textAlign = 'center';
    pen.font = '12px system-ui, "DejaVu Sans", sans-serif';
    pen.fillText(sign, x(note.at), y - 14);
    pen.textAlign = 'left';
    pen.font = '11px system-ui, "DejaVu Sans", sans-serif';
    hits.push({ ref: note.ref, rect: [x(note.at) - 6, y - 20, 12, 12], tip: () => `${serverName(note.s)} at ${seconds(note.at)}: ${note.text}` });
  }
}

// The moments that count for the whole world.
function moments(scene) {
  const { pen, x, height, width, sees } = scene;
  const lines = [[data.healed, 'healed', 'good']];
  if (data.failure) lines.push([data.end, `✖ ${data.failure.kind}: ${data.failure.checker}`, 'bad']);
  else lines.push([data.end, 'the end', 'dim']);
  for (const [time, text, shade] of lines) {
    if (time === undefined || !sees(time, time)) continue;
    const left = x(time);
    pen.strokeStyle = color(shade);
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(left, 8);
    pen.lineTo(left, height);
    pen.stroke();
    pen.font = '600 11px system-ui, "DejaVu Sans", sans-serif';
    const length = pen.measureText(text).width;
    write(scene, text, left + 6 + length > width ? left - length - 6 : left + 6, 8, color(shade));
    pen.font = '11px system-ui, "DejaVu Sans", sans-serif';
  }
}

function paintOverview() {
  const pen = prepare(overview);
  const { clientWidth: width, clientHeight: height } = overview;
  const x = time => LEFT + time / Math.max(data.end, 1) * (width - LEFT);
  const bins = new Array(Math.max(1, Math.floor((width - LEFT) / 3))).fill(0);
  for (const message of data.messages) if (!message.isClient) bins[Math.min(bins.length - 1, Math.floor(message.sent / Math.max(data.end, 1) * bins.length))] += 1;
  const most = Math.log1p(Math.max(...bins, 1));
  pen.fillStyle = color('events');
  pen.globalAlpha = 0.6;
  bins.forEach((count, bin) => { const tall = Math.log1p(count) / most * (height - 16); pen.fillRect(LEFT + bin * 3, height - 4 - tall, 2, tall); });
  pen.globalAlpha = 1;
  for (const [time, shade] of [[data.healed, 'good'], [data.failure && data.end, 'bad']]) {
    if (time === undefined) continue;
    pen.fillStyle = color(shade);
    pen.fillRect(Math.min(x(time), width - 2) - 1, 0, 2, height);
  }
  for (const note of data.notes) if (/^crash/.test(note.text)) { pen.fillStyle = color('bad'); pen.fillRect(x(note.at), 2, 1.5, 5); }
  pen.fillStyle = color('link');
  pen.globalAlpha = 0.16;
  pen.fillRect(x(view.from), 0, Math.max(3, x(view.to) - x(view.from)), height);
  pen.globalAlpha = 1;
  pen.strokeStyle = color('link');
  pen.strokeRect(x(view.from) + 0.5, 0.5, Math.max(3, x(view.to) - x(view.from)) - 1, height - 1);
  pen.fillStyle = color('dim');
  pen.fillText('everything', 10, height / 2 - 6);
  pen.fillText(seconds(data.end, 0), 10, height / 2 + 8);
}
