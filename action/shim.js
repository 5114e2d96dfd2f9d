// Finds the program niks3-action and starts it: as main the first time, as post the second.
'use strict';

const { spawn } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const os = require('node:os');
const path = require('node:path');
const tls = require('node:tls');

const ATTEMPTS = 3;
// Milliseconds without a byte.
const CONNECT_TIMEOUT = 30000;

const env = process.env;
const input = (name) => (env[`INPUT_${name.toUpperCase()}`] || '').trim();
const say = (level, text) =>
  console.log(`::${level} title=niks3::${text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A')}`);

class Sentence extends Error {}

// Systems as releases name them.
const system = () => {
  const cpu = { x64: 'x86_64', arm64: 'aarch64' }[process.arch];
  const kernel = { linux: 'linux', darwin: 'darwin' }[process.platform];
  if (!cpu || !kernel) throw new Sentence(`there is no niks3 for ${process.platform} on ${process.arch}`);
  return `${cpu}-${kernel}`;
};

const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');

// What is committed with the action:
// { "releases-url": "https://…", "latest": "v1.2.3", "release": "v1.2.3", "v1.2.3": { "x86_64-linux": "…" } }
// Only the commit of a release itself has "release".
function released() {
  const all = JSON.parse(fs.readFileSync(path.join(__dirname, 'checksums.json'), 'utf8'));
  const version = input('version') || all.release || all.latest;
  if (!version) return null;
  const known = Object.keys(all).filter((name) => typeof all[name] === 'object');
  if (!known.includes(version)) {
    throw new Sentence(
      `this version of the action has no checksums for the release '${version}', only for ${known.join(', ') || 'none'}: ` +
        'use another version of the action, or the input `binary`');
  }
  const checksum = all[version][system()];
  if (!checksum) {
    throw new Sentence(`the release ${version} has no program for ${system()}: give the input \`binary\``);
  }
  if (!all.release && !input('version')) {
    say('notice', `this commit of the action is not a release, so it runs the program of the last release, ${version}`);
  }
  return { version, checksum, base: input('releases-url') || all['releases-url'] };
}

// The proxy for an address, from the variables that curl and others read. Node reads none by itself.
function proxyFor(url) {
  const of = (name) => env[name] || env[name.toUpperCase()] || '';
  const excluded = of('no_proxy').split(/[\s,]+/).filter(Boolean).some((entry) => {
    const [name, port] = entry.replace(/^\*?\./, '').split(':');
    if (port && port !== (url.port || (url.protocol === 'https:' ? '443' : '80'))) return false;
    return name === '*' || url.hostname === name || url.hostname.endsWith(`.${name}`);
  });
  // http_proxy alone in lower case: in CGI programs the other is a header of the client's.
  const proxy = url.protocol === 'https:' ? of('https_proxy') || of('all_proxy') : env.http_proxy || of('all_proxy');
  return proxy && !excluded ? new URL(proxy.includes('://') ? proxy : `http://${proxy}`) : null;
}

const authorization = (url) => url.username
  ? { 'proxy-authorization': `Basic ${Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString('base64')}` }
  : {};

// A connection through the proxy to the host of an address.
function tunnel(proxy, url) {
  return new Promise((resolve, reject) => {
    const host = `${url.hostname}:${url.port || 443}`;
    const connect = (proxy.protocol === 'https:' ? https : http).request({
      host: proxy.hostname, port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80), method: 'CONNECT', path: host,
      headers: { host, ...authorization(proxy) }, timeout: CONNECT_TIMEOUT,
    });
    connect.on('timeout', () => connect.destroy(new Error(`the proxy ${proxy.host} does not answer`)));
    connect.on('error', (error) => reject(new Error(`the proxy ${proxy.host}: ${error.message}`)));
    connect.on('connect', (answer, socket) => {
      if (answer.statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new Error(`the proxy ${proxy.host} answers ${answer.statusCode}`));
    });
    connect.end();
  });
}

async function get(url, redirects = 5) {
  const secure = url.protocol === 'https:';
  const proxy = proxyFor(url);
  const options = { headers: { host: url.host, 'user-agent': 'niks3-action' }, timeout: CONNECT_TIMEOUT };
  let target = url;
  if (proxy && secure) {
    const socket = await tunnel(proxy, url);
    options.createConnection = () => tls.connect({ socket, servername: url.hostname });
  } else if (proxy) {
    target = { host: proxy.hostname, port: proxy.port || 80, path: url.href };
    Object.assign(options.headers, authorization(proxy));
  }
  const answer = await new Promise((resolve, reject) => {
    const asked = target === url ? [url, options] : [{ ...target, ...options }];
    const request = (secure ? https : http).get(...asked, resolve);
    request.on('timeout', () => request.destroy(new Error('it does not answer')));
    request.on('error', reject);
  });
  if (answer.statusCode >= 300 && answer.statusCode < 400 && answer.headers.location && redirects > 0) {
    answer.resume();
    return get(new URL(answer.headers.location, url), redirects - 1);
  }
  if (answer.statusCode !== 200) {
    answer.resume();
    throw new Error(`HTTP ${answer.statusCode}`);
  }
  const chunks = [];
  for await (const chunk of answer) chunks.push(chunk);
  return Buffer.concat(chunks);
}

// Folders to keep the program in; the last one always works.
function folders(version, checksum) {
  const found = [];
  if (env.RUNNER_TOOL_CACHE) found.push(path.join(env.RUNNER_TOOL_CACHE, 'niks3-action', version, process.arch));
  if (env.RUNNER_TEMP) found.push(path.join(env.RUNNER_TEMP, `niks3-action-${checksum.slice(0, 16)}`));
  return found;
}

function keep(folder, bytes) {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, 'niks3-action');
  const partial = `${file}.${process.pid}`;
  fs.writeFileSync(partial, bytes, { mode: 0o755 });
  fs.renameSync(partial, file);
  return file;
}

async function download({ version, checksum, base }) {
  const places = folders(version, checksum);
  for (const folder of places) {
    const file = path.join(folder, 'niks3-action');
    // Whatever others can write there runs only if it is what was released.
    if (fs.existsSync(file) && sha256(fs.readFileSync(file)) === checksum) return file;
  }
  const url = `${base}/${version}/niks3-action-${system()}`;
  let bytes;
  for (let attempt = 1; ; attempt++) {
    try {
      bytes = await get(new URL(url));
      break;
    } catch (error) {
      if (attempt === ATTEMPTS) throw new Sentence(`cannot download ${url}: ${error.message || error.code}`);
      await new Promise((done) => setTimeout(done, attempt * 1000));
    }
  }
  const found = sha256(bytes);
  if (found !== checksum) {
    throw new Sentence(`${url} is not what this action was released with (its SHA-256 is ${found}, not ${checksum}): not starting it`);
  }
  for (const folder of places) {
    try {
      return keep(folder, bytes);
    } catch {
      // A tool cache may be read-only.
    }
  }
  // A folder whose name others know could be theirs.
  return keep(fs.mkdtempSync(path.join(os.tmpdir(), 'niks3-action-')), bytes);
}

// Builds the program. The action's folder is the working directory: as an address its name can be invalid.
async function build() {
  const missing = 'this version of the action belongs to no release (action/checksums.json is empty), and ';
  const remedy = ': give the input `binary`, or use a release of the action';
  const flake = `${env.NIKS3_FLAKE || '.'}#niks3-action`;
  const words = ['--extra-experimental-features', 'nix-command flakes', 'build', '--no-link', '--print-out-paths',
    '--no-write-lock-file', flake];
  const built = await new Promise((resolve, reject) => {
    const child = spawn('nix', words, { cwd: path.dirname(__dirname), stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let said = '';
    child.stdout.on('data', (data) => { out += data; });
    child.stderr.on('data', (data) => {
      process.stderr.write(data);
      said = (said + data).slice(-4096);
    });
    child.on('error', () => reject(new Sentence(
      `${missing}without Nix it cannot be built${remedy}, or install Nix before this step`)));
    child.on('close', (code) => {
      if (code === 0) return resolve(out.trim().split('\n').pop());
      const why = said.split('\n').map((line) => line.trim()).filter((line) => line.startsWith('error:')).pop() || '';
      reject(new Sentence(`${missing}\`nix build\` of it failed${why && ` (${why.slice(7)})`}${remedy}`));
    });
  });
  return path.join(built, 'bin', 'niks3-action');
}

async function program() {
  const name = input('binary') ? 'binary' : 'niks3-bin';
  const binary = input(name);
  if (binary) {
    const file = path.resolve(env.GITHUB_WORKSPACE || '.', binary);
    try {
      fs.accessSync(file, fs.constants.X_OK);
    } catch {
      throw new Sentence(`the input \`${name}\` is '${binary}', which is not a program`);
    }
    return file;
  }
  const release = released();
  return release ? download(release) : build();
}

function run(file, word) {
  return new Promise((resolve, reject) => {
    // The process that started us lives as long as the job.
    const child = spawn(file, [word], {
      stdio: 'inherit',
      env: { ...env, NIKS3_RUNNER_PID: String(process.ppid) },
    });
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
    child.on('error', (error) => reject(new Sentence(`cannot start ${file}: ${error.message}`)));
    child.on('exit', (code, signal) => resolve(code ?? 128 + (os.constants.signals[signal] || 0)));
  });
}

async function start(word) {
  try {
    let file = env.STATE_program;
    if (word === 'post' && !file) {
      // Main has said why.
      return console.log('niks3: there was no program to run');
    }
    if (word !== 'post') {
      file = await program();
      if (word === 'main' && env.GITHUB_STATE) fs.appendFileSync(env.GITHUB_STATE, `program=${file}\n`);
    }
    process.exitCode = await run(file, word);
  } catch (error) {
    if (!(error instanceof Sentence)) throw error;
    const onError = input('on-error');
    if (onError === 'ignore') {
      console.log(`niks3: ${error.message}`);
    } else {
      say(onError === 'warn' ? 'warning' : 'error', error.message);
      process.exitCode = onError === 'warn' ? 0 : 1;
    }
  }
}

if (require.main === module) {
  if (!env.STATE_started && env.GITHUB_STATE) fs.appendFileSync(env.GITHUB_STATE, 'started=true\n');
  start(env.STATE_started ? 'post' : 'main');
}

module.exports = { start };
