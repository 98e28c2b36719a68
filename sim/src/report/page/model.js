// The data, indexed; what is selected and what is filtered out; and links between everything.
const data = JSON.parse(document.getElementById('data').textContent);
const at = id => document.getElementById(id);
const named = new Set(data.named);
const KINDS = {
  events: 'events', edus: 'EDUs', handshake: 'joins, invites', history: 'history, state', keys: 'keys', questions: 'questions', attack: 'attacks', client: 'people', sync: 'syncs',
};
const VERDICTS = { accepted: '✓', 'soft-failed': '~', rejected: '✕', outlier: '○', 'rejected outlier': '⊗', outside: '◌' };

const events = new Map();
const rooms = new Map();
data.rooms.forEach((room, index) => {
  Object.assign(room, data.states[index], { index, hot: named.has(room.id) });
  rooms.set(room.id, room);
  for (const event of room.events) {
    event.room = room;
    event.carriers = [];
    // Who never had an event has not judged it, and an outlier is as good as accepted.
    const verdicts = Object.values(event.seen).map(seen => seen.v).filter(verdict => verdict !== 'outside');
    event.differs = new Set(verdicts.map(verdict => ({ outlier: 'accepted', 'rejected outlier': 'rejected' })[verdict] || verdict)).size > 1;
    event.hot = named.has(event.id);
    room.hot = room.hot || event.hot;
    events.set(event.id, event);
  }
  const title = room.rows.find(row => row.type === 'm.room.name');
  const first = title && events.get(Object.values(title.at)[0]);
  try { room.title = first && JSON.parse(first.content).name; } catch { room.title = ''; }
});
data.messages.forEach((message, index) => {
  message.ref = 'message=' + index;
  message.isClient = message.task !== undefined;
  message.came = message.end ?? message.refused ?? data.end;
  message.about = new Set();
  for (const [how, ids] of [['carries', message.carries], ['brings', message.brings]]) {
    for (const id of ids || []) {
      const event = events.get(id);
      if (event) { event.carriers.push({ message, how }); message.about.add(event.room.id); }
    }
  }
  for (const id of (message.path.match(/![A-Za-z0-9_-]+(:[A-Za-z0-9.]+)?/g) || [])) if (rooms.has(id)) message.about.add(id);
});
data.ops.forEach((op, index) => { op.ref = 'op=' + index; op.came = op.to ?? data.end; });
data.faults.forEach((fault, index) => { fault.ref = 'fault=' + index; });
// Which servers are together, where all are on islands.
function islands(fault) {
  const groups = new Map();
  for (const number of data.servers.keys()) {
    const island = Math.floor(number / Math.max(1, fault.stride)) % Math.max(1, fault.islands);
    groups.set(island, [...(groups.get(island) || []), serverName(number)]);
  }
  return [...groups.values()].map(group => group.join(' ')).join(fault.oneWay ? ' ← ' : ' | ');
}
data.notes.forEach((note, index) => { note.ref = 'note=' + index; });
data.lives.forEach((life, index) => { life.ref = 'life=' + index; });

const filter = { servers: new Set(data.servers.keys()), kinds: new Set(Object.keys(KINDS)), room: '', hot: false };
// What people ask would hide what servers tell each other.
if (data.servers.length > 1) ['client', 'sync'].forEach(kind => filter.kinds.delete(kind));
const view = { tab: 'timeline', ref: '', from: 0, to: 1 };
const watchers = { select: [], filter: [], tab: [], theme: [] };
const tell = what => watchers[what].forEach(watcher => watcher());

const escape = text => String(text).replace(/[&<>"]/g, c => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);
const shortId = id => id.length > 14 ? id.slice(0, 9) + '…' : id;
const serverName = number => 's' + number;
const senderServer = user => (user.split(':')[1] || '').split('.')[0];
const shortUser = user => user.replace(/^@/, '').split(':')[0];
const shortType = type => type.replace(/^m\.room\./, '').replace(/^org\.orrery\./, '');
const roomLabel = room => (room.title ? room.title + ' ' : '') + shortId(room.id);

// What an event is, in a few words.
function eventLabel(event) {
  if (event.type === 'm.room.member') return `${event.membership || 'member'} ${shortUser(event.key || '')}`;
  const key = event.key ? ' ' + shortUser(event.key) : '';
  return shortType(event.type) + key;
}

function seconds(time, digits = 3) {
  return (time / 1e6).toFixed(digits) + ' s';
}

function link(ref, text, hot, title) {
  return `<a href="#${encodeURIComponent(ref)}" class="id${hot ? ' hot' : ''}" title="${escape(title || '')}">${escape(text)}</a>`;
}

function eventLink(id, full) {
  const event = events.get(id);
  if (!event) return `<span class="id${named.has(id) ? ' hot' : ''}" title="${escape(id)}">${escape(full ? id : shortId(id))}</span>`;
  return link('event=' + id, full ? id : shortId(id), event.hot, `${id}: ${event.type} by ${event.sender}`);
}
const describedLink = id => eventLink(id) + (events.has(id) ? ` <span class="note">${escape(eventLabel(events.get(id)))}</span>` : '');
const roomLink = room => link('room=' + room.id, roomLabel(room), named.has(room.id), room.id);
const serverLink = number => link('server=' + number, serverName(number), false, data.servers[number]?.name);

// Text in which everything that has a place here leads there.
function linked(text) {
  const pattern = /\$[A-Za-z0-9_-]+(?::[A-Za-z0-9.]+)?|![A-Za-z0-9_-]+(?::[A-Za-z0-9.]+)?|@[a-z0-9_.-]+:[A-Za-z0-9.]+|\bserver \d+\b|\bdevice \d+\b/g;
  let out = '', last = 0;
  for (const match of text.matchAll(pattern)) {
    out += escape(text.slice(last, match.index));
    const word = match[0];
    if (events.has(word)) out += eventLink(word);
    else if (rooms.has(word)) out += link('room=' + word, shortId(word), named.has(word), word);
    else if (word.startsWith('server ') && data.servers[+word.slice(7)]) out += link('server=' + word.slice(7), word);
    else if (word.startsWith('device ')) out += link('search=' + word, word, false, 'everything that it asked');
    else out += named.has(word) ? `<span class="hot">${escape(word)}</span>` : escape(word);
    last = match.index + word.length;
  }
  return out + escape(text.slice(last));
}

function find(ref) {
  const cut = ref.indexOf('=');
  const [kind, id] = [ref.slice(0, cut), ref.slice(cut + 1)];
  const from = { message: data.messages, op: data.ops, fault: data.faults, note: data.notes, life: data.lives, server: data.servers };
  if (kind === 'event') return { kind, id, it: events.get(id) };
  if (kind === 'room') return { kind, id, it: rooms.get(id) };
  if (kind === 'search') return { kind, id, it: id };
  return { kind, id, it: from[kind] && from[kind][+id] };
}

function select(ref) {
  const wanted = '#' + encodeURIComponent(ref);
  if (location.hash !== wanted) history.pushState(null, '', wanted || '#');
  view.ref = ref;
  tell('select');
}

function open(tab) {
  view.tab = tab;
  for (const section of document.querySelectorAll('main > section')) section.hidden = section.id !== tab;
  for (const button of document.querySelectorAll('nav [role=tab]')) button.setAttribute('aria-selected', button.dataset.tab === tab);
  tell('tab');
}

// Whether a message passes the filters.
function passes(message) {
  if (!filter.kinds.has(message.kind) || !filter.servers.has(message.to)) return false;
  if (!message.isClient && !filter.servers.has(message.from)) return false;
  if (filter.room && !message.about.has(filter.room)) return false;
  return !filter.hot || message.hot === true;
}

const color = (() => {
  let cache = {};
  watchers.theme.push(() => { cache = {}; });
  return name => cache[name] ||= getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
})();
