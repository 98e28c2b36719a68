// Everything in the order in which it happened, to search.
const log = { text: '', clients: true, most: 400 };
const records = [
  ...data.messages.map(message => ({ at: message.sent, s: message.isClient ? message.to : message.from, kind: message.kind, ref: message.ref, message,
    text: `${message.isClient ? message.task : serverName(message.from)} → ${serverName(message.to)} ${message.method} ${message.path} ${message.status ?? message.lost ?? ''}` +
      ((message.carries || message.brings) ? ` [${(message.carries || message.brings).slice(0, 6).map(id => (events.has(id) ? eventLabel(events.get(id)) + ' ' : '') + shortId(id)).join(', ')}]` : ''),
    search: [message.path, message.body, message.answer, message.task, ...(message.carries || []), ...(message.brings || [])].join(' ') })),
  ...data.ops.map(op => ({ at: op.from, s: op.s, kind: 'operation', ref: op.ref, text: `${op.kind} by u${op.user}, ${op.task}: ${op.done || 'not over'}`, search: `op${op.n}` })),
  ...data.faults.map(fault => ({ at: fault.at, s: fault.s, kind: 'fault', ref: fault.ref, text: fault.text, search: '' })),
  ...data.notes.map(note => ({ at: note.at, s: note.s, kind: 'host', ref: note.ref, text: note.text, search: '' })),
].sort((a, b) => a.at - b.at);

at('log-tools').innerHTML = `<input type="search" id="log-text" placeholder="search: an ID, a path, a word of a body" size="44" aria-label="Search">
  <label class="group"><input type="checkbox" id="log-clients" checked> requests of people</label><span class="note" id="log-count"></span>
  <span class="note">servers, kinds and rooms are filtered as in the timeline</span>`;
at('log-tools').addEventListener('input', () => {
  Object.assign(log, { text: at('log-text').value.trim().toLowerCase(), clients: at('log-clients').checked, most: 400 });
  drawLog();
});

function isLogged(record) {
  const { message } = record;
  if (message?.isClient) {
    if (!log.clients || !filter.servers.has(record.s) || (filter.room && !message.about.has(filter.room)) || (filter.hot && !message.hot)) return false;
  } else if (message ? !passes(message) : !filter.servers.has(record.s)) return false;
  return !log.text || (record.text + ' ' + record.search).toLowerCase().includes(log.text);
}

function drawLog() {
  const shown = records.filter(isLogged);
  const { it } = find(view.ref);
  const chosen = shown.findIndex(record => it && record.ref === view.ref);
  const first = chosen > log.most - 50 ? Math.max(0, chosen - 100) : 0;
  const rows = shown.slice(first, first + log.most).map(record => `<tr data-ref="${escape(record.ref)}" class="${record.ref === view.ref ? 'picked' : ''}"><td class="t mono">${seconds(record.at, 6)}</td><td class="s">${serverName(record.s)}</td><td class="k">${escape(KINDS[record.kind] || record.kind)}</td><td>${record.message?.hot ? '<span class="hot">★</span> ' : ''}${linked(record.text)}</td></tr>`);
  const more = shown.length - first - log.most;
  at('log-count').textContent = `${shown.length} of ${records.length}`;
  at('log-body').innerHTML = `<table>${first ? `<tr><td class="t">…</td><td class="s"></td><td class="k"></td><td>${first} before</td></tr>` : ''}${rows.join('')}</table>` + (more > 0 ? `<button id="log-more">${more} more</button>` : '');
  at('log-body').querySelector('.picked')?.scrollIntoView({ block: 'center' });
}
at('log-body').addEventListener('click', press => {
  if (press.target.id === 'log-more') { log.most += 2000; return drawLog(); }
  const row = press.target.closest('tr[data-ref]');
  if (row && !press.target.closest('a')) {
    at('log-body').querySelector('.picked')?.classList.remove('picked');
    row.classList.add('picked');
    select(row.dataset.ref);
  }
});
watchers.select.push(() => {
  const { kind, id } = find(view.ref);
  if (kind !== 'search') return;
  at('log-text').value = log.text = id;
  Object.assign(log, { clients: true, most: 400 });
  at('log-clients').checked = true;
  open('log');
});
watchers.tab.push(() => { if (view.tab === 'log') drawLog(); });
watchers.filter.push(() => { if (view.tab === 'log') drawLog(); });
