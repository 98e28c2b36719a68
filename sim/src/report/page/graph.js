// The event graph of a room: down goes depth, across go the senders' servers; each event shows what every server thinks of it.
const BOX = 196, TALL = 42, GAP = 16, HEAD = 30, AXIS = 58;
const MOST_DRAWN = 1500;
const graph = { room: null, auth: false, scale: 1, differing: false };

function graphTools() {
  const best = data.rooms.find(room => named.has(room.id)) || data.rooms.find(room => room.differences.length) || data.rooms.find(room => room.hot) ||
    [...data.rooms].sort((a, b) => b.events.length - a.events.length)[0];
  graph.room ||= best;
  const options = data.rooms.map(room => `<option value="${room.index}"${room === graph.room ? ' selected' : ''}>${room.hot ? '★ ' : ''}${room.differences.length ? '≠ ' : ''}${escape(roomLabel(room))} (${room.events.length})</option>`);
  at('graph-tools').innerHTML = `<span class="group"><span class="name">Room</span><select id="graph-room">${options.join('')}</select></span>
    <label class="group"><input type="checkbox" id="graph-auth"${graph.auth ? ' checked' : ''}> auth events</label>
    <label class="group"><input type="checkbox" id="graph-differing"${graph.differing ? ' checked' : ''}> only what is judged differently, and its neighbours</label>
    <span class="group"><button data-scale="0.8" aria-label="Smaller">−</button><button data-scale="1.25" aria-label="Larger">+</button><button data-scale="0">fit</button></span>
    <span class="note">${graph.room ? `version ${escape(graph.room.version)}, ${graph.room.events.length} events` : 'there are no rooms'}</span>`;
}
at('graph-tools').addEventListener('change', change => {
  if (change.target.id === 'graph-room') graph.room = data.rooms[+change.target.value];
  if (change.target.id === 'graph-auth') graph.auth = change.target.checked;
  if (change.target.id === 'graph-differing') graph.differing = change.target.checked;
  drawGraph();
});
at('graph-tools').addEventListener('click', press => {
  const factor = press.target.dataset.scale;
  if (factor === undefined) return;
  const svg = at('graph-scroll').firstElementChild;
  graph.scale = +factor ? Math.min(2, Math.max(0.2, graph.scale * +factor)) : Math.min(1, at('graph-scroll').clientWidth / svg.viewBox.baseVal.width);
  resizeGraph();
});

function resizeGraph() {
  const svg = at('graph-scroll').firstElementChild;
  if (!svg) return;
  svg.setAttribute('width', svg.viewBox.baseVal.width * graph.scale);
  svg.setAttribute('height', svg.viewBox.baseVal.height * graph.scale);
}

// Which events are drawn.
function drawnEvents(room) {
  let shown = room.events;
  if (graph.differing) {
    const core = new Set(shown.filter(event => event.differs || event.hot).map(event => event.id));
    shown = shown.filter(event => core.has(event.id) || event.prev.some(id => core.has(id)) || [...core].some(id => events.get(id).prev.includes(event.id)));
  }
  return shown.slice(-MOST_DRAWN);
}

function layOut(room) {
  const shown = drawnEvents(room);
  const known = new Set(shown.map(event => event.id));
  const nodes = shown.map(event => ({ event, id: event.id, column: senderServer(event.sender), depth: BigInt(event.depth) }));
  // What is cited and nobody has.
  const missing = new Map();
  if (!graph.differing) for (const { event, depth } of nodes) for (const id of event.prev) if (!known.has(id) && !events.has(id)) missing.set(id, { id, column: 'missing', depth: depth - 1n });
  nodes.push(...missing.values());
  const columns = [...new Set(nodes.map(node => node.column))].sort((a, b) => (a === 'missing') - (b === 'missing') || a.localeCompare(b, 'en', { numeric: true }));
  const depths = [...new Set(nodes.map(node => node.depth))].sort((a, b) => (a < b ? -1 : 1));
  const cells = new Map();
  for (const node of nodes) {
    const key = node.depth + ' ' + node.column;
    if (!cells.has(key)) cells.set(key, []);
    node.slot = cells.get(key).push(node) - 1;
  }
  let top = HEAD + 10;
  const rows = new Map();
  for (const depth of depths) {
    const most = Math.max(...columns.map(column => (cells.get(depth + ' ' + column) || []).length));
    rows.set(depth, top);
    top += most * (TALL + 6) + GAP;
  }
  for (const node of nodes) {
    node.x = AXIS + columns.indexOf(node.column) * (BOX + 26);
    node.y = rows.get(node.depth) + node.slot * (TALL + 6);
  }
  return { nodes, columns, rows, width: AXIS + columns.length * (BOX + 26) + 10, height: top + 10 };
}

function drawGraph() {
  graphTools();
  const room = graph.room;
  const scroll = at('graph-scroll');
  if (!room) { scroll.innerHTML = ''; return; }
  const { nodes, columns, rows, width, height } = layOut(room);
  const places = new Map(nodes.map(node => [node.id, node]));
  const parts = [];
  for (const [depth, top] of rows) parts.push(`<text class="depth" x="8" y="${top + 14}">${depth > 99999n ? '≫' : depth}</text>`);
  const edge = (from, id, kind) => {
    const to = places.get(id);
    if (!to) return;
    const [x1, y1, x2, y2] = [from.x + BOX / 2, from.y, to.x + BOX / 2, to.y + TALL];
    const bend = Math.max(14, Math.min(60, Math.abs(y1 - y2) / 2));
    parts.push(`<path class="edge ${kind}" data-a="${escape(from.id)}" data-b="${escape(id)}" d="M${x1} ${y1}C${x1} ${y1 - bend} ${x2} ${y2 + bend} ${x2} ${y2}"/>`);
  };
  for (const node of nodes) if (node.event) {
    if (graph.auth) node.event.auth.forEach(id => edge(node, id, 'auth'));
    node.event.prev.forEach(id => edge(node, id, 'prev'));
  }
  for (const node of nodes) parts.push(node.event ? drawNode(node, room) : `<g class="node ghost" transform="translate(${node.x},${node.y})"><title>${escape(node.id)}: nobody has it</title><rect class="box" width="${BOX}" height="${TALL}"/><text x="8" y="17">${escape(shortId(node.id))}</text><text class="sub" x="8" y="33">nobody has it</text></g>`);
  const heads = columns.map((column, index) => `<text class="head" x="${AXIS + index * (BOX + 26)}" y="20">${column === 'missing' ? 'missing' : 'by ' + escape(column)}</text>`);
  scroll.innerHTML = `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Event graph" data-events="${nodes.filter(node => node.event).length}" data-edges="${nodes.reduce((sum, node) => sum + (node.event ? node.event.prev.length : 0), 0)}"><text class="depth" x="8" y="20">depth</text>${heads.join('')}${parts.join('')}</svg>`;
  resizeGraph();
  markGraph();
}

function drawNode({ event, x, y }, room) {
  const classes = ['node', event.key === undefined ? '' : 'state', event.ends.length ? 'end' : '', event.differs ? 'differs' : '', event.hot ? 'hot' : ''];
  const label = `${eventLabel(event)}`, by = shortUser(event.sender);
  const most = 24;
  const squares = room.known.map((server, index) => {
    const seen = event.seen[server], left = 8 + index * 17;
    if (left > BOX - 18) return '';
    const ring = event.ends.includes(server) ? `<rect class="ring" x="${left - 1.5}" y="22.5" width="17" height="17" rx="4"/>` : '';
    const title = `<title>${serverName(server)}: ${seen ? seen.v : 'unknown'}${event.ends.includes(server) ? ', forward extremity' : ''}</title>`;
    if (!seen) return `<g>${title}<rect class="unknown" x="${left}" y="24" width="14" height="14" rx="3"/></g>`;
    return `<g class="v-${seen.v.replace(' ', '-')}">${title}<rect class="v" x="${left}" y="24" width="14" height="14" rx="3"/><text class="glyph" x="${left + 7}" y="34.5">${server}</text>${ring}</g>`;
  });
  return `<g class="${classes.join(' ')}" data-id="${escape(event.id)}" transform="translate(${x},${y})"><title>${escape(event.id)}\n${escape(event.type)} by ${escape(event.sender)}</title><rect class="box" width="${BOX}" height="${TALL}"/>` +
    `<text x="8" y="16">${escape(label.length > most ? label.slice(0, most - 1) + '…' : label)}</text><text class="sub" x="${BOX - 8}" y="16" text-anchor="end">${escape(by)}</text>${squares.join('')}</g>`;
}

// Marks what is selected, with the edges from and to it.
function markGraph() {
  const { kind, id, it } = find(view.ref);
  const scroll = at('graph-scroll');
  if (kind === 'event' && it && view.tab === 'graph' && it.room !== graph.room) { graph.room = it.room; return drawGraph(); }
  if (kind === 'room' && it && it !== graph.room) { graph.room = it; if (view.tab === 'graph') return drawGraph(); }
  for (const on of scroll.querySelectorAll('.picked, .on')) on.classList.remove('picked', 'on');
  if (kind !== 'event') return;
  for (const path of scroll.querySelectorAll('.edge')) if (path.dataset.a === id || path.dataset.b === id) path.classList.add('on');
  const node = scroll.querySelector(`.node[data-id="${CSS.escape(id)}"]`);
  if (!node) return;
  node.classList.add('picked');
  const box = node.getBoundingClientRect(), frame = scroll.getBoundingClientRect();
  if (box.top < frame.top || box.bottom > frame.bottom || box.left < frame.left || box.right > frame.right) node.scrollIntoView({ block: 'center', inline: 'center' });
}
at('graph-scroll').addEventListener('click', press => {
  const node = press.target.closest('.node[data-id]');
  if (node) select('event=' + node.dataset.id);
});
watchers.select.push(() => { if (view.tab === 'graph') markGraph(); });
watchers.tab.push(() => {
  if (view.tab !== 'graph') return;
  const { kind, it } = find(view.ref);
  if (kind === 'event' && it) graph.room = it.room;
  if (kind === 'room' && it) graph.room = it;
  drawGraph();
});

at('graph-legend').innerHTML = Object.entries(VERDICTS).map(([verdict, glyph]) => `<span><span class="sq v v-${verdict.replace(' ', '-')}">n</span>${verdict}</span>`).join('') +
  '<span>□ unknown to server n</span><span>ringed: its forward extremity</span><span class="bad">dashed red: judged differently</span><span class="hot">named by the evidence</span>';
