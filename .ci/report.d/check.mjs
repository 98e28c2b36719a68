// What each page has to show. Called by `.ci/report`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Browser } from './browser.mjs';

const [program, folder] = process.argv.slice(2);
let passed = 0, failed = 0;

async function check(name, run) {
  try {
    await run();
    passed += 1;
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}: ${error.message}`);
  }
}

function same(what, found, expected) {
  if (found !== expected) throw new Error(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`);
}
function more(what, found, least) {
  if (!(found >= least)) throw new Error(`${what}: ${found}, and not at least ${least}`);
}

// Clicks through a page.
async function look(browser, name, { fails, servers, dark }) {
  const file = join(folder, `${name}.html`);
  browser.complaints = [];
  await browser.open(`file://${file}`, { dark });
  const ask = expression => browser.evaluate(expression);
  const text = selector => ask(`document.querySelector(${JSON.stringify(selector)}).innerText`);
  const picture = view => browser.picture(join(folder, `${name}-${view}.png`));
  const data = JSON.parse(readFileSync(file, 'utf8').match(/<script type="application\/json" id="data">(.*)<\/script>/)[1]);

  await check(`${name}: head`, async () => {
    const head = await text('#head');
    same('failed', data.failure !== undefined, fails);
    const said = fails ? `${data.failure.kind} (${data.failure.checker})` : 'Everything that was checked held';
    if (!head.includes(said)) throw new Error(`it does not say “${said}”`);
    if (fails && !(await ask('document.querySelector("#head .verdict").textContent')).includes(data.failure.evidence.slice(0, 9))) throw new Error('it does not show the evidence');
    if (!head.includes(data.command)) throw new Error('it does not have the command that runs the world again');
  });
  await check(`${name}: timeline`, async () => {
    same('lanes', +await ask('canvas.dataset.lanes'), servers);
    more('messages drawn', +await ask('canvas.dataset.messages'), servers > 1 ? 20 : 5);
    more('things to click on', await ask('hits.length'), 20);
    const inked = await ask('(() => { const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height); let inked = 0; for (let at = 3; at < data.length; at += 4) inked += data[at] > 0; return inked; })()');
    more('inked points', inked, 5000);
    await picture('timeline');
  });
  await check(`${name}: a click on the timeline tells`, async () => {
    const [x, y] = await ask('(() => { const box = canvas.getBoundingClientRect(); const hit = hits.find(hit => hit.rect && hit.ref.startsWith("op=") && hit.rect[0] > LEFT + 20 && hit.rect[1] < box.height - 20); return [box.x + hit.rect[0] + 2, box.y + hit.rect[1] + 2]; })()');
    await browser.click(x, y);
    const details = await text('#details');
    if (!/operation|sent|Life/.test(details)) throw new Error(`details are “${details.slice(0, 80)}”`);
    await picture('clicked');
  });
  await check(`${name}: zoom and filters`, async () => {
    const before = await ask('view.to - view.from');
    await browser.clickOn('[data-zoom=in]');
    if (!(await ask('view.to - view.from') < before)) throw new Error('it does not zoom');
    if (servers > 1) {
      await browser.clickOn('[data-server="0"]');
      same('lanes', +await ask('canvas.dataset.lanes'), servers - 1);
      await browser.clickOn('[data-server="0"]');
    }
    await browser.clickOn('[data-zoom=all]');
  });
  await check(`${name}: event graph`, async () => {
    await browser.clickOn('[data-tab=graph]');
    const room = await ask('graph.room.id');
    same('events', await ask('document.querySelectorAll("#graph-scroll .node[data-id]").length'), data.rooms.find(one => one.id === room).events.length);
    more('edges', await ask('document.querySelectorAll("#graph-scroll .edge").length'), 3);
    await browser.clickOn('#graph-scroll .node[data-id]');
    if (!(await text('#details')).includes('Came to servers')) throw new Error('a click on an event does not tell');
    same('marked events', await ask('document.querySelectorAll("#graph-scroll .picked").length'), 1);
    await picture('graph');
  });
  await check(`${name}: state`, async () => {
    await browser.clickOn('nav [data-tab=state]');
    more('entries', await ask('document.querySelectorAll("#state-body tr").length'), 6);
    same('differences', await ask('document.querySelectorAll("#state-body [data-table=differences] tr.differs").length'), data.states[await ask('graph.room.index')].rows.filter(row => row.differs).length);
    await picture('state');
  });
  await check(`${name}: log`, async () => {
    await browser.clickOn('[data-tab=log]');
    more('lines', await ask('document.querySelectorAll("#log-body tr").length'), 20);
    await picture('log');
  });
  for (const tab of ['waiting', 'plan']) {
    await check(`${name}: ${tab}`, async () => {
      await browser.clickOn(`[data-tab=${tab}]`);
      more('characters', (await text(`#${tab}-body`)).length, 8);
    });
  }
  await check(`${name}: nothing to complain of`, async () => {
    if (browser.complaints.length) throw new Error(browser.complaints.join('; '));
  });
}

const browser = await Browser.launch(program);
try {
  await look(browser, 'passes', { servers: 4, fails: false });
  await look(browser, 'fails', { servers: 1, fails: true, dark: true });
  await look(browser, 'forged', { servers: 4, fails: true });
} finally {
  await browser.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
