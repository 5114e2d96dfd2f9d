// Finds the program niks3-action and starts it: as main the first time, as post the second.
'use strict';

const { spawn } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

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

// The checksums that are committed with the action: { "latest": "v1.2.3", "v1.2.3": { "x86_64-linux": "…" } }
function released() {
  const all = JSON.parse(fs.readFileSync(path.join(__dirname, 'checksums.json'), 'utf8'));
  const version = input('version') || all.latest;
  if (!version) return null;
  const known = Object.keys(all).filter((name) => name !== 'latest');
  if (!Object.hasOwn(all, version) || version === 'latest') {
    throw new Sentence(
      `this version of the action has no checksums for the release '${version}', only for ${known.join(', ') || 'none'}: ` +
        'use another version of the action, or the input `binary`');
  }
  const checksum = all[version][system()];
  if (!checksum) throw new Sentence(`the release ${version} has no program for ${system()}`);
  return { version, checksum };
}

async function download({ version, checksum }) {
  // A folder whose name others know could be theirs.
  const folder = env.RUNNER_TEMP
    ? path.join(env.RUNNER_TEMP, `niks3-action-${checksum.slice(0, 16)}`)
    : fs.mkdtempSync(path.join(os.tmpdir(), 'niks3-action-'));
  const file = path.join(folder, 'niks3-action');
  if (fs.existsSync(file) && sha256(fs.readFileSync(file)) === checksum) return file;
  const base = env.NIKS3_RELEASES_URL ||
    `${env.GITHUB_SERVER_URL || 'https://github.com'}/${env.GITHUB_ACTION_REPOSITORY || 'niks3/push'}/releases/download`;
  const url = `${base}/${version}/niks3-action-${system()}`;
  let bytes;
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(120000) });
      if (!answer.ok) throw new Sentence(`HTTP ${answer.status}`);
      bytes = Buffer.from(await answer.arrayBuffer());
      break;
    } catch (error) {
      if (attempt === 3) throw new Sentence(`cannot download ${url}: ${error.cause?.message || error.message}`);
      await new Promise((done) => setTimeout(done, attempt * 1000));
    }
  }
  const found = sha256(bytes);
  if (found !== checksum) {
    throw new Sentence(`${url} is not what this action was released with (its SHA-256 is ${found}, not ${checksum}): not starting it`);
  }
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const partial = `${file}.${process.pid}`;
  fs.writeFileSync(partial, bytes, { mode: 0o755 });
  fs.renameSync(partial, file);
  return file;
}

async function program() {
  const binary = input('binary');
  if (binary) {
    const file = path.resolve(env.GITHUB_WORKSPACE || '.', binary);
    try {
      fs.accessSync(file, fs.constants.X_OK);
    } catch {
      throw new Sentence(`the input \`binary\` is '${binary}', which is not a program`);
    }
    return [file];
  }
  const release = released();
  if (release) return [await download(release)];
  const flake = `${env.NIKS3_FLAKE || path.dirname(__dirname)}#niks3-action`;
  return ['nix', '--extra-experimental-features', 'nix-command flakes', 'run', flake, '--'];
}

function run(command, word) {
  return new Promise((resolve, reject) => {
    // The process that started us lives as long as the job.
    const child = spawn(command[0], [...command.slice(1), word], {
      stdio: 'inherit',
      env: { ...env, NIKS3_RUNNER_PID: String(process.ppid) },
    });
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
    child.on('error', (error) => reject(new Sentence(`cannot start ${command[0]}: ${error.message}`)));
    child.on('exit', (code, signal) => resolve(code ?? 128 + (os.constants.signals[signal] || 0)));
  });
}

async function start(word) {
  try {
    process.exitCode = await run(await program(), word);
  } catch (error) {
    if (!(error instanceof Sentence)) throw error;
    const onError = input('on-error');
    if (onError === 'warn' || onError === 'ignore') {
      say(onError === 'warn' ? 'warning' : 'notice', error.message);
    } else {
      say('error', error.message);
      process.exitCode = 1;
    }
  }
}

if (require.main === module) {
  if (!env.STATE_started && env.GITHUB_STATE) fs.appendFileSync(env.GITHUB_STATE, 'started=true\n');
  start(env.STATE_started ? 'post' : 'main');
}

module.exports = { start };
