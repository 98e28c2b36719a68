// The head of the page, its views, and where links lead.
function head() {
  const { failure } = data;
  const [first, ...rest] = (failure?.evidence || '').split('\n');
  const counts = Object.entries(data.counts).filter(([, number]) => number > 0).map(([name, number]) => `<span>${escape(name)} <b>${number}</b></span>`);
  const events = data.rooms.reduce((sum, room) => sum + room.events.length, 0);
  const verdict = failure
    ? `<div class="verdict failed"><details${rest.length > 12 ? '' : ' open'}><summary><b>✖ ${escape(failure.kind)} (${escape(failure.checker)})</b> ${linked(first)}</summary>${rest.length ? `<pre>${linked(rest.join('\n'))}</pre>` : ''}</details></div>`
    : '<div class="verdict"><b>✓ Everything that was checked held.</b></div>';
  at('head').innerHTML = `<h1>World ${escape(data.seed)}</h1> <span class="note">${data.servers.length} servers, ${data.rooms.length} rooms, ${events} events, ${data.messages.length} messages, ${seconds(data.end, 1)} of virtual time</span>
    <div class="command"><code id="command">${escape(data.command)}</code><button id="copy">copy</button>${data.commit ? `<span class="note">at commit ${escape(data.commit)}</span>` : ''}<span class="note mono" title="trace hash">${escape(data.hash.slice(0, 16))}…</span></div>
    ${verdict}<div class="facts">${counts.join('')}</div>` + (data.cut.length ? `<div class="cut">Left out: ${data.cut.map(escape).join('; ')}.</div>` : '');
  at('copy').addEventListener('click', () => navigator.clipboard?.writeText(data.command));
}

function tabs() {
  const differing = data.rooms.filter(room => room.differences.length || room.endsDiffer).length;
  const names = [['timeline', 'Timeline', ''], ['graph', 'Event graph', data.rooms.length], ['state', 'State', differing ? `<span class="count bad">${differing} ≠</span>` : ''],
    ['log', 'Log', ''], ['waiting', 'What waits', data.waiting.length || ''], ['plan', 'Plan', '']];
  at('tabs').innerHTML = names.map(([tab, name, count]) => `<button role="tab" data-tab="${tab}">${name} ${String(count).startsWith('<') ? count : `<span class="count">${count}</span>`}</button>`).join('') +
    '<span class="space"></span><button id="theme" title="light or dark">◐</button>';
  at('tabs').addEventListener('click', press => {
    const button = press.target.closest('button');
    if (!button) return;
    if (button.id === 'theme') {
      const isDark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
      document.documentElement.dataset.theme = isDark ? 'light' : 'dark';
      tell('theme');
    } else open(button.dataset.tab);
  });
}

function drawWaiting() {
  const of = server => data.waiting.filter(one => one.s === server).map(one => escape(one.what));
  const people = of(undefined);
  at('waiting-body').innerHTML = `<p class="note">What had not come to an end when the world did: flows and queues of servers, and what people waited for.</p>` +
    (people.length ? `<h2>People</h2>${list(people)}` : '') +
    data.servers.map((_, number) => of(number).length ? `<h2>${serverLink(number)}</h2>${list(of(number))}` : '').join('') +
    (data.waiting.length ? '' : '<p class="good">Nothing.</p>');
}

function route() {
  const wanted = decodeURIComponent(location.hash.slice(1));
  view.ref = find(wanted).it ? wanted : '';
  tell('select');
}

head();
tabs();
timelineTools();
filters();
drawWaiting();
at('plan-body').textContent = data.plan;
addEventListener('popstate', route);
addEventListener('hashchange', route);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => tell('theme'));
route();
open('timeline');
