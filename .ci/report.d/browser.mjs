// A headless Chromium, spoken to over pipes: no package is needed.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Browser {
  static async launch(program) {
    const browser = new Browser();
    browser.profile = mkdtempSync(join(tmpdir(), 'report-browser-'));
    // The sandbox needs rights that a container's root does not have; the page is our own.
    const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars', '--no-first-run',
      '--remote-debugging-pipe', `--user-data-dir=${browser.profile}`, 'about:blank'];
    browser.process = spawn(program, flags, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    browser.waiting = new Map();
    browser.last = 0;
    browser.complaints = [];
    let rest = '';
    browser.process.stdio[4].on('data', bytes => {
      const messages = (rest + bytes).split('\0');
      rest = messages.pop();
      messages.forEach(message => browser.hear(JSON.parse(message)));
    });
    browser.process.on('exit', () => browser.waiting.forEach(({ reject }) => reject(new Error('the browser is gone'))));
    const { targetInfos } = await browser.send('Target.getTargets');
    const page = targetInfos.find(target => target.type === 'page');
    browser.session = (await browser.send('Target.attachToTarget', { targetId: page.targetId, flatten: true })).sessionId;
    for (const domain of ['Page', 'Runtime', 'Log']) await browser.send(`${domain}.enable`);
    return browser;
  }

  hear(message) {
    const waiting = this.waiting.get(message.id);
    if (waiting) {
      this.waiting.delete(message.id);
      if (message.error) waiting.reject(new Error(message.error.message));
      else waiting.resolve(message.result);
      return;
    }
    const { method, params } = message;
    if (method === 'Runtime.exceptionThrown') this.complaints.push(params.exceptionDetails.exception?.description || params.exceptionDetails.text);
    if (method === 'Runtime.consoleAPICalled' && ['error', 'warning', 'assert'].includes(params.type)) this.complaints.push(params.args.map(arg => arg.value ?? arg.description).join(' '));
    if (method === 'Log.entryAdded' && ['error', 'warning'].includes(params.entry.level)) this.complaints.push(params.entry.text);
    if (method === 'Page.loadEventFired') this.loaded?.();
  }

  send(method, params = {}) {
    this.last += 1;
    const id = this.last;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.process.stdio[3].write(JSON.stringify({ id, method, params, sessionId: this.session }) + '\0');
    });
  }

  async open(url, { width = 1500, height = 950, dark = false } = {}) {
    await this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
    await this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }] });
    const loaded = new Promise(resolve => { this.loaded = resolve; });
    await this.send('Page.navigate', { url });
    await loaded;
    await this.settle();
  }

  // Lets the page paint.
  settle() {
    return this.evaluate('new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 30))))');
  }

  async evaluate(expression) {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description || exceptionDetails.text);
    return result.value;
  }

  // Presses the mouse where it is said, as a person would.
  async click(x, y) {
    for (const type of ['mouseMoved', 'mousePressed', 'mouseReleased']) await this.send('Input.dispatchMouseEvent', { type, x, y, button: type === 'mouseMoved' ? 'none' : 'left', clickCount: 1 });
    await this.settle();
  }

  async clickOn(selector) {
    const [x, y] = await this.evaluate(`(() => { const box = document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()`);
    await this.click(x, y);
  }

  async picture(file) {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' });
    writeFileSync(file, Buffer.from(data, 'base64'));
  }

  async close() {
    const gone = new Promise(resolve => this.process.on('exit', resolve));
    this.waiting.clear();
    this.process.kill();
    await gone;
    rmSync(this.profile, { recursive: true, force: true });
  }
}
