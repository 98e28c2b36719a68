// Each server's state of a room side by side, differences first, with core's explanation of each.
function stateTools() {
  graphTools();
  const options = data.rooms.map(room => `<option value="${room.index}"${room === graph.room ? ' selected' : ''}>${room.hot ? '★ ' : ''}${room.differences.length ? '≠ ' : ''}${escape(roomLabel(room))}</option>`);
  at('state-tools').innerHTML = `<span class="group"><span class="name">Room</span><select id="state-room">${options.join('')}</select></span>`;
}
at('state-tools').addEventListener('change', change => { graph.room = data.rooms[+change.target.value]; drawState(); });

function serverHeads(room) {
  return room.servers.map(server => `<th>${serverLink(server)}${data.servers[server].liar ? ' ☠' : ''}${room.in.includes(server) ? '' : ' <span class="note">not in it</span>'}</th>`).join('');
}

// The value that most servers in the room have.
function usual(room, of) {
  const counts = new Map();
  for (const server of room.in) counts.set(of(server), (counts.get(of(server)) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
}

function stateRow(room, row) {
  const common = usual(room, server => row.at[server]);
  const cells = room.servers.map(server => {
    const id = row.at[server];
    const isOut = !room.in.includes(server);
    const odd = row.differs && !isOut && id !== common;
    return `<td class="${isOut ? 'out' : ''}${odd ? ' odd' : ''}">${id ? describedLink(id) : '—'}</td>`;
  });
  return `<tr class="${row.differs ? 'differs' : ''}"><td>${escape(row.type)}</td><td><code>${named.has(row.key) ? `<span class="hot">${escape(row.key)}</span>` : escape(row.key)}</code></td>${cells.join('')}</tr>`;
}

function drawState() {
  stateTools();
  const room = graph.room;
  const body = at('state-body');
  if (!room) { body.innerHTML = '<p class="note">There are no rooms.</p>'; return; }
  const heads = serverHeads(room);
  const differing = room.rows.filter(row => row.differs), same = room.rows.filter(row => !row.differs);
  const count = (server, verdict) => room.events.filter(event => (event.seen[server] || {}).v === verdict).length;
  const members = room.rows.filter(row => row.type === 'm.room.member');
  const membership = (row, server) => row.at[server] ? (events.get(row.at[server])?.membership || '?') : '—';
  const line = (name, of) => `<tr><td>${name}</td>${room.servers.map(server => `<td class="${room.in.includes(server) ? '' : 'out'}">${of(server)}</td>`).join('')}</tr>`;
  const explained = room.differences.map(difference => `<details class="explained" open><summary><b>${escape(difference.type)} <code>${escape(difference.key)}</code></b>` +
    (difference.parted ? ` <span class="note">they part before ${describedLink(difference.parted)}</span>` : '') + '</summary><div class="sides">' +
    difference.said.map(side => `<div><h3>${serverLink(side.server)} says</h3><ol>${side.lines.map(text => `<li>${linked(text)}</li>`).join('')}</ol></div>`).join('') + '</div></details>');
  body.innerHTML = `<h2>${escape(room.title || 'Room')} <span class="note">${escape(room.id)}, version ${escape(room.version)}</span></h2>` +
    `<table data-table="summary"><tr><th></th>${heads}</tr>` +
    line('forward extremities', server => (room.ends[server] || []).map(describedLink).join('<br>') || '—') +
    Object.keys(VERDICTS).map(verdict => room.known.some(server => count(server, verdict)) ? line(escape(verdict), server => count(server, verdict)) : '').join('') +
    line('entries of state', server => room.rows.filter(row => row.at[server]).length) + '</table>' +
    (room.endsDiffer ? '<p class="bad">The forward extremities differ.</p>' : '') +
    `<h2>${differing.length ? `<span class="bad">${differing.length} ${differing.length === 1 ? 'difference' : 'differences'}</span> between servers in the room` : '<span class="good">The servers in the room have the same state</span>'}</h2>` +
    (differing.length ? `<table data-table="differences"><tr><th>type</th><th>state key</th>${heads}</tr>${differing.map(row => stateRow(room, row)).join('')}</table>` : '') +
    (explained.length ? `<h2>Why each has what it has</h2>${explained.join('')}` : '') +
    `<h2>Memberships</h2><table data-table="members"><tr><th>user</th>${heads}</tr>${members.map(row => `<tr class="${row.differs ? 'differs' : ''}"><td>${named.has(row.key) ? `<span class="hot">${escape(row.key)}</span>` : escape(row.key)}</td>${room.servers.map(server => `<td class="${room.in.includes(server) ? '' : 'out'}">${row.at[server] ? link('event=' + row.at[server], membership(row, server)) : '—'}</td>`).join('')}</tr>`).join('')}</table>` +
    `<h2>What is the same</h2><table data-table="same"><tr><th>type</th><th>state key</th>${heads}</tr>${same.map(row => stateRow(room, row)).join('')}</table>`;
}
watchers.tab.push(() => {
  if (view.tab !== 'state') return;
  const { kind, it } = find(view.ref);
  if (kind === 'room' && it) graph.room = it;
  if (kind === 'event' && it) graph.room = it.room;
  drawState();
});
watchers.select.push(() => {
  const { kind, it } = find(view.ref);
  if (view.tab === 'state' && kind === 'room' && it && it !== graph.room) { graph.room = it; drawState(); }
});
