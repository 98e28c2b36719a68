// The panel on the right: everything about what is selected.
function pretty(text) {
  if (!text) return '<p class="note">nothing</p>';
  let shown = text;
  try { shown = JSON.stringify(JSON.parse(text), null, 1); } catch { /* It was cut, or is no JSON. */ }
  return `<pre>${linked(shown)}</pre>`;
}

function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== '' && value !== null);
  return '<dl>' + shown.map(([name, value]) => `<dt>${escape(name)}</dt><dd>${value}</dd>`).join('') + '</dl>';
}

const badge = verdict => verdict
  ? `<span class="badge v v-${verdict.replace(' ', '-')}">${VERDICTS[verdict]} ${escape(verdict)}</span>`
  : '<span class="unknown-badge">unknown</span>';
const whenButton = (from, to) => `<button data-from="${from}" data-to="${to}">show when</button>`;
const list = items => items.length ? '<ul>' + items.map(item => `<li>${item}</li>`).join('') + '</ul>' : '<p class="note">none</p>';

const DETAILS = {
  message(message) {
    const from = message.isClient ? linked(message.task) : serverLink(message.from);
    const carried = (ids, more) => list((ids || []).map(describedLink).concat(more ? [`and ${more} more`] : []));
    return `<h2>${escape(KINDS[message.kind] || message.kind)}: ${from} → ${serverLink(message.to)}</h2>` +
      facts([
        ['request', `<code>${escape(message.method)} ${linked(message.path)}</code>`],
        ['sent', seconds(message.sent, 6)],
        ['arrived', message.arrived === undefined ? '<span class="bad">never: lost on its way</span>'
          : `${seconds(message.arrived, 6)} <span class="note">(+${((message.arrived - message.sent) / 1e3).toFixed(1)} ms)</span>`],
        ['refused', message.refused && `<span class="bad">${seconds(message.refused, 6)}: nobody listened, or it crashed over it</span>`],
        ['answered', message.answered && `${seconds(message.answered, 6)} with <b class="${message.status < 300 ? 'good' : 'warn'}">${message.status}</b>`],
        ['ended', message.end === undefined ? '<span class="warn">not before the world did</span>'
          : seconds(message.end, 6) + (message.lost ? ` <span class="bad">${escape(message.lost)}</span>` : '')],
      ]) + whenButton(message.sent, message.came) +
      (message.isClient ? '' : `<h3>Carries</h3>${carried(message.carries, message.carriesMore)}<h3>Its answer brings</h3>${carried(message.brings, message.bringsMore)}`) +
      `<h3>Body (${message.size} bytes)</h3>${pretty(message.body)}<h3>Answer${message.answerSize === undefined ? '' : ` (${message.answerSize} bytes)`}</h3>${pretty(message.answer)}`;
  },
  event(event) {
    const verdicts = event.room.known.map(server => {
      const seen = event.seen[server] || {};
      const end = event.ends.includes(server) ? ' <b class="good">forward extremity</b>' : '';
      const redacted = seen.redacted ? ' <span class="note">redacted</span>' : '';
      return `<tr><td>${serverLink(server)}</td><td>${badge(seen.v)}${end}${redacted}${seen.why ? `<br><span class="note">${linked(seen.why)}</span>` : ''}</td></tr>`;
    });
    const sightings = event.carriers.map(({ message, how }) => {
      const when = how === 'carries' ? message.arrived : message.answered !== undefined && !message.lost ? message.end : undefined;
      const [from, to] = how === 'carries' ? [message.from, message.to] : [message.to, message.from];
      return { when: when ?? Infinity, sent: message.sent, html: `${when === undefined ? '<span class="bad">never</span>' : seconds(when)}: ${serverName(from)} → ${serverName(to)} ${link(message.ref, message.kind)}` };
    }).sort((a, b) => a.when - b.when || a.sent - b.sent);
    const next = event.room.events.filter(other => other.prev.includes(event.id)).map(other => describedLink(other.id));
    const rows = event.room.rows.filter(row => row.differs && Object.values(row.at).includes(event.id));
    return `<h2>${escape(event.type)}${event.key === undefined ? '' : ` <code>${escape(JSON.stringify(event.key))}</code>`}</h2>` +
      `<button data-tab="graph">in the graph</button> <button data-spread="1">in the timeline</button>` +
      facts([
        ['event', eventLink(event.id, true)], ['room', roomLink(event.room) + ` <span class="note">version ${event.room.version}</span>`],
        ['sender', escape(event.sender)], ['depth', event.depth], ['redacts', event.redacts && describedLink(event.redacts)],
      ]) + (rows.length ? `<p class="bad">The servers' states differ about it: ${rows.map(row => `${escape(row.type)} ${escape(row.key)}`).join(', ')}.</p>` : '') +
      `<table>${verdicts.join('')}</table>` +
      `<h3>Previous events</h3>${list(event.prev.map(describedLink))}<h3>Auth events</h3>${list(event.auth.map(describedLink))}<h3>Next events</h3>${list(next)}` +
      `<h3>Content</h3>${pretty(event.content)}` +
      `<h3>Came to servers</h3>${list(sightings.slice(0, 80).map(sighting => sighting.html))}`;
  },
  room(room) {
    const differing = room.events.filter(event => event.differs);
    return `<h2>Room ${escape(room.title || '')}</h2><button data-tab="graph">graph</button> <button data-tab="state">state</button> <button data-room="${escape(room.id)}">only this room in the timeline</button>` +
      facts([['ID', `<code>${escape(room.id)}</code>`], ['version', room.version], ['events', room.events.length],
        ['in it', room.in.map(serverLink).join(' ')], ['known to', room.known.map(serverLink).join(' ')],
        ['state', room.differences.length ? `<span class="bad">${room.rows.filter(row => row.differs).length} differences</span>` : '<span class="good">the same</span>']]) +
      `<h3>Judged differently</h3>${list(differing.slice(0, 60).map(event => describedLink(event.id)))}`;
  },
  server(server, id) {
    const number = +id;
    const mine = what => what.filter(one => one.s === number);
    return `<h2>${escape(server.name)}</h2>` + (server.liar ? `<p class="bad">It is Byzantine: ${escape(server.liar)}</p>` : '') +
      `<h3>Lives</h3>${list(mine(data.lives).map(life => `${life.life}: ${seconds(life.from)} to ${life.to === undefined ? 'the end' : seconds(life.to)}`))}` +
      `<h3>Faults</h3>${list(data.faults.filter(fault => fault.s === number || fault.from === number).map(fault => `${link(fault.ref, seconds(fault.at))} ${escape(fault.kind)}`))}` +
      `<h3>Rooms</h3>${list(data.rooms.filter(room => room.known.includes(number)).map(room => roomLink(room) + (room.in.includes(number) ? '' : ' <span class="note">not in it</span>')))}` +
      `<h3>Notes</h3>${list(mine(data.notes).map(note => `${seconds(note.at)} ${escape(note.text)}`))}`;
  },
  op(op) {
    const calls = data.messages.filter(message => message.task === op.task && message.sent >= op.from && message.sent <= op.came);
    return `<h2>${escape(op.kind)}</h2>` + facts([
      ['operation', op.n], ['by', `u${op.user}, ${linked(op.task)}`], ['at', serverLink(op.s)],
      ['planned', seconds(op.planned, 6)], ['began', seconds(op.from, 6)], ['ended', op.to === undefined ? '<span class="bad">never</span>' : seconds(op.to, 6)],
      ['outcome', `<b>${escape(op.done || 'not over')}</b>`], ['picks', escape(op.picks)],
    ]) + whenButton(op.from, op.came) + `<h3>Calls</h3>${list(calls.map(call => `${link(call.ref, seconds(call.sent))} ${escape(call.method)} ${linked(call.path)} <b>${call.status ?? escape(call.lost || '')}</b>`))}` +
      (calls.length ? `<h3>What was sent</h3>${pretty(calls[0].body)}<h3>Last answer</h3>${pretty(calls[calls.length - 1].answer)}` : '');
  },
  fault(fault) {
    const other = fault.islands ? escape(islands(fault)) : fault.from === undefined ? '' : `${serverLink(fault.from)} ${fault.oneWay ? '→' : '⇄'} ${serverLink(fault.s)}`;
    return `<h2>${escape(fault.kind)}</h2>` + facts([
      ['where', other || serverLink(fault.s)], ['from', seconds(fault.at, 6)], ['to', fault.to === undefined ? undefined : seconds(fault.to, 6)], ['plan', `<code>${escape(fault.text)}</code>`],
    ]) + whenButton(fault.at, fault.to ?? fault.at + 2e6);
  },
  note: note => `<h2>${escape(note.text)}</h2>` + facts([['server', serverLink(note.s)], ['at', seconds(note.at, 6)]]) + whenButton(note.at - 5e5, note.at + 5e5),
  life(life) {
    const near = data.notes.filter(note => note.s === life.s && note.at >= life.from - 1 && note.at <= (life.to ?? data.end));
    return `<h2>Life ${life.life} of ${serverLink(life.s)}</h2>` + facts([['from', seconds(life.from, 6)], ['to', life.to === undefined ? 'the end' : seconds(life.to, 6)]]) +
      whenButton(life.from, life.to ?? data.end) + `<h3>Notes</h3>${list(near.map(note => `${seconds(note.at)} ${escape(note.text)}`))}`;
  },
};

function showDetails() {
  const { kind, id, it } = find(view.ref);
  const panel = at('details');
  if (!it || !DETAILS[kind]) {
    const hints = [...named].filter(id => events.has(id)).map(describedLink);
    panel.innerHTML = '<h2>Details</h2><p class="note">Click anything: a message, a bar, an event, a name. What is selected is shown here and marked in every view.</p>' +
      (hints.length ? `<h3>The evidence names</h3>${list(hints)}` : '') +
      `<h3>Rooms</h3>${list(data.rooms.map(room => `${roomLink(room)} <span class="note">${room.events.length} events</span>${room.differences.length ? ' <span class="bad">states differ</span>' : ''}`))}`;
    return;
  }
  panel.innerHTML = DETAILS[kind](it, id);
  panel.scrollTop = 0;
}
watchers.select.push(showDetails);

at('details').addEventListener('click', press => {
  const button = press.target.closest('button');
  if (!button) return;
  const { from, to, tab, room, spread } = button.dataset;
  const { kind, it } = find(view.ref);
  if (from !== undefined) { zoomTo(+from, +to); open('timeline'); }
  if (room !== undefined) { filter.room = room; tell('filter'); open('timeline'); }
  if (tab) open(tab);
  if (spread && kind === 'event') {
    const times = it.carriers.flatMap(({ message }) => [message.sent, message.came]);
    if (times.length) zoomTo(Math.min(...times), Math.min(Math.max(...times), Math.min(...times) + 6e7));
    open('timeline');
  }
});
