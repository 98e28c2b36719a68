// The timeline's frame: its window of time, zoom and pan, filters, what lies under the pointer. `paint.js` draws.
const canvas = at('lanes'), overview = at('overview');
const LEFT = 92, TOP = 44;
let hits = [];
let hovered = null;

// Time in which things go wrong; afterwards the world only waits and looks.
const lively = Math.min(data.end, (data.healed ?? data.end) * 1.02 + 1e6);
view.from = 0;
view.to = Math.max(lively, 1e6);

function zoomTo(from, to) {
  const least = 200;
  const margin = Math.max((to - from) * 0.15, least);
  view.from = Math.max(0, from - margin);
  view.to = Math.min(Math.max(data.end * 1.01, 1), to + margin);
  if (view.to - view.from < least) view.to = view.from + least;
  repaint();
}

function zoomBy(factor, x = (LEFT + canvas.clientWidth) / 2) {
  const width = view.to - view.from;
  const middle = view.from + width * (x - LEFT) / (canvas.clientWidth - LEFT);
  const next = Math.min(Math.max(width * factor, 200), data.end * 1.05 + 1);
  view.from = Math.max(0, middle - (middle - view.from) * next / width);
  view.to = view.from + next;
  repaint();
}

function pan(time) {
  const width = view.to - view.from;
  view.from = Math.min(Math.max(0, view.from + time), Math.max(0, data.end * 1.02 - width * 0.2));
  view.to = view.from + width;
  repaint();
}

let scheduled = false;
function repaint() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => { scheduled = false; if (view.tab === 'timeline') paint(); });
}

// The nearest thing to a point, and nothing if that is far.
function under(x, y) {
  let best = null, least = 7;
  for (const hit of hits) {
    let distance;
    if (hit.rect) {
      const [left, top, width, height] = hit.rect;
      const dx = Math.max(left - x, 0, x - left - width), dy = Math.max(top - y, 0, y - top - height);
      distance = Math.hypot(dx, dy) + (hit.wide ? 3 : 0);
    } else {
      const [x1, y1, x2, y2] = hit.line;
      const length = (x2 - x1) ** 2 + (y2 - y1) ** 2;
      const part = length ? Math.min(1, Math.max(0, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length)) : 0;
      distance = Math.hypot(x - x1 - part * (x2 - x1), y - y1 - part * (y2 - y1)) + 0.5;
    }
    if (distance < least) { least = distance; best = hit; }
  }
  return best;
}

function tip(text, x, y) {
  const box = at('tip');
  box.hidden = !text;
  if (!text) return;
  box.textContent = text;
  box.style.left = Math.min(x + 14, innerWidth - box.offsetWidth - 8) + 'px';
  box.style.top = Math.min(y + 16, innerHeight - box.offsetHeight - 8) + 'px';
}

let drag = null;
canvas.addEventListener('pointerdown', press => {
  canvas.setPointerCapture(press.pointerId);
  drag = { x: press.offsetX, from: view.from, moved: false };
});
canvas.addEventListener('pointermove', move => {
  if (drag) {
    const moved = move.offsetX - drag.x;
    drag.moved ||= Math.abs(moved) > 3;
    if (drag.moved) {
      canvas.classList.add('drag');
      const width = view.to - view.from;
      view.from = drag.from;
      view.to = drag.from + width;
      pan(-moved * width / (canvas.clientWidth - LEFT));
    }
    return;
  }
  const hit = under(move.offsetX, move.offsetY);
  if ((hit && hit.ref) !== hovered) { hovered = hit ? hit.ref : null; repaint(); }
  canvas.style.cursor = hit ? 'pointer' : '';
  tip(hit ? hit.tip() : '', move.clientX, move.clientY);
});
canvas.addEventListener('pointerup', release => {
  canvas.classList.remove('drag');
  const hit = drag && !drag.moved && under(release.offsetX, release.offsetY);
  if (hit) select(hit.ref);
  else if (drag && !drag.moved) select('');
  drag = null;
});
canvas.addEventListener('pointerleave', () => { hovered = null; tip(''); repaint(); });
canvas.addEventListener('wheel', turn => {
  if (!turn.ctrlKey && turn.shiftKey) return;
  turn.preventDefault();
  if (Math.abs(turn.deltaX) > Math.abs(turn.deltaY)) pan(turn.deltaX * (view.to - view.from) / 900);
  else zoomBy(Math.exp(turn.deltaY / 400), turn.offsetX);
}, { passive: false });
canvas.addEventListener('keydown', key => {
  const step = (view.to - view.from) / 6;
  const keys = { ArrowLeft: () => pan(-step), ArrowRight: () => pan(step), '+': () => zoomBy(0.6), '-': () => zoomBy(1.7), '0': () => zoomTo(0, lively) };
  if (keys[key.key]) { key.preventDefault(); keys[key.key](); }
});
const toOverview = move => {
  const middle = (move.offsetX - LEFT) / (overview.clientWidth - LEFT) * data.end;
  pan(middle - (view.from + view.to) / 2);
};
overview.addEventListener('pointerdown', press => { overview.setPointerCapture(press.pointerId); toOverview(press); });
overview.addEventListener('pointermove', move => { if (move.buttons) toOverview(move); });

function timelineTools() {
  const failed = data.failure ? '<button data-zoom="failure">the failure</button>' : '';
  at('timeline-tools').innerHTML = `<span class="group"><span class="name">Show</span><button data-zoom="lively">until healed</button>
    <button data-zoom="all">everything</button>${failed}<button data-zoom="in" aria-label="Zoom in">+</button><button data-zoom="out" aria-label="Zoom out">−</button></span>
    <span class="note">wheel zooms, dragging pans, a click tells</span>`;
  at('timeline-tools').addEventListener('click', press => {
    const ways = {
      lively: () => zoomTo(0, lively / 1.15), all: () => zoomTo(0, data.end), in: () => zoomBy(0.5), out: () => zoomBy(2),
      failure: () => zoomTo(Math.max(0, data.end - 3e6), data.end),
    };
    ways[press.target.dataset.zoom]?.();
  });
}

function filters() {
  const chip = (group, value, text, on, shade) =>
    `<button class="chip" data-${group}="${value}" aria-pressed="${on}">${shade ? `<i style="--c:var(--${shade})"></i>` : ''}${escape(text)}</button>`;
  const present = new Set(data.messages.map(message => message.kind));
  const kinds = Object.entries(KINDS).filter(([kind]) => present.has(kind)).map(([kind, text]) => chip('kind', kind, text, filter.kinds.has(kind), kind));
  const servers = data.servers.map((server, number) => chip('server', number, serverName(number) + (server.liar ? ' ☠' : ''), filter.servers.has(number)));
  const options = data.rooms.map(room => `<option value="${escape(room.id)}"${room.id === filter.room ? ' selected' : ''}>${room.hot ? '★ ' : ''}${escape(roomLabel(room))}</option>`);
  at('filters').innerHTML = `<span class="group"><span class="name">Messages</span>${kinds.join('')}</span>
    <span class="group" style="flex-wrap:wrap"><span class="name">Servers</span>${servers.join('')}</span>
    <span class="group"><span class="name">Room</span><select id="room-filter"><option value="">all</option>${options.join('')}</select></span>` +
    (named.size ? `<label class="group"><input type="checkbox" id="hot-filter"${filter.hot ? ' checked' : ''}> only what the evidence names</label>` : '');
}
at('filters').addEventListener('click', press => {
  const button = press.target.closest('.chip');
  if (!button) return;
  const { kind, server } = button.dataset;
  const [set, value] = kind ? [filter.kinds, kind] : [filter.servers, +server];
  if (!set.delete(value)) set.add(value);
  tell('filter');
});
at('filters').addEventListener('change', change => {
  if (change.target.id === 'room-filter') filter.room = change.target.value;
  if (change.target.id === 'hot-filter') filter.hot = change.target.checked;
  tell('filter');
});
watchers.filter.push(filters, repaint);
watchers.select.push(repaint);
watchers.tab.push(repaint);
watchers.theme.push(repaint);
addEventListener('resize', repaint);

at('timeline-legend').innerHTML = [
  ['life', 'a server lives'], ['down', 'it is down'], ['net', 'outage, partition ✂'], ['disk', 'disk full, slow, unreadable'],
  ['good', 'operation acknowledged'], ['warn', 'refused'], ['quiet', 'skipped'], ['hot', 'named by the evidence'],
].map(([shade, text]) => `<span><i style="--c:var(--${shade})"></i>${text}</span>`).join('') +
  '<span>— request</span><span>┄ answer</span><span><b class="bad">✕</b> lost</span><span>◷ clock jumps</span><span>✸ attack</span>';
