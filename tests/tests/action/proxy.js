// A release behind HTTPS that only a proxy reaches: `node proxy.js FOLDER`, where FOLDER is empty.
'use strict';

const assert = require('node:assert');
const { execFileSync, spawn } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const path = require('node:path');

const folder = process.argv[2];
const actions = path.join(__dirname, '../../../action');
const at = (name) => path.join(folder, name);
const listen = (server) => new Promise((done) => server.listen(0, '127.0.0.1', () => done(server.address().port)));

async function main() {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=releases.invalid',
    '-addext', 'subjectAltName=DNS:releases.invalid', '-keyout', at('key'), '-out', at('cert')], { stdio: 'ignore' });
  const program = '#!/bin/sh\necho the program runs\n';
  const releases = https.createServer({ key: fs.readFileSync(at('key')), cert: fs.readFileSync(at('cert')) }, (request, answer) => {
    // As GitHub does: the file itself is somewhere else.
    if (request.url.startsWith('/releases/')) answer.writeHead(302, { location: '/files/program' }).end();
    else answer.end(program);
  });
  const port = await listen(releases);

  const asked = [];
  const proxy = http.createServer((_, answer) => answer.writeHead(403).end());
  proxy.on('connect', (request, client, head) => {
    asked.push([request.url, request.headers['proxy-authorization']]);
    if (request.url !== 'releases.invalid:443') return client.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    const server = net.connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connected\r\n\r\n');
      server.write(head);
      server.pipe(client).pipe(server);
    });
    for (const end of [server, client]) end.on('error', () => {});
  });
  const proxyPort = await listen(proxy);

  fs.copyFileSync(path.join(actions, 'shim.js'), at('shim.js'));
  const system = `${{ x64: 'x86_64', arm64: 'aarch64' }[process.arch]}-${process.platform}`;
  const checksum = crypto.createHash('sha256').update(program).digest('hex');
  fs.writeFileSync(at('checksums.json'), JSON.stringify({
    'releases-url': 'https://releases.invalid/releases', latest: 'v1.0.0', release: 'v1.0.0', 'v1.0.0': { [system]: checksum },
  }));
  fs.mkdirSync(at('tools'));
  const run = (variables) => new Promise((done) => {
    const child = spawn(process.execPath, [at('shim.js')], {
      env: { PATH: process.env.PATH, RUNNER_TOOL_CACHE: at('tools'), NODE_EXTRA_CA_CERTS: at('cert'), ...variables },
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { text += data; });
    child.on('close', (code) => done({ code, text }));
  });

  const address = `http://user:p%40ss@127.0.0.1:${proxyPort}`;
  const refused = await run({ https_proxy: address, 'INPUT_RELEASES-URL': 'https://other.invalid' });
  assert.equal(refused.code, 1);
  assert.match(refused.text, /^::error title=niks3::cannot download https:\/\/other\.invalid\S+: the proxy \S+ answers 403$/m);

  const fetched = await run({ HTTPS_PROXY: address, no_proxy: 'localhost,.example.com' });
  assert.deepEqual([fetched.code, fetched.text], [0, 'the program runs\n']);
  const credentials = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
  assert.deepEqual(asked.at(-1), ['releases.invalid:443', credentials]);

  const requests = asked.length;
  const kept = await run({});
  assert.deepEqual([kept.code, kept.text], [0, 'the program runs\n'], 'it is in the tool cache');
  assert.equal(asked.length, requests);

  fs.rmSync(at('tools'), { recursive: true });
  const direct = await run({ https_proxy: address, no_proxy: '.invalid' });
  assert.equal(direct.code, 1, 'the name is one that only the proxy knows');
  assert.equal(asked.length, requests);
  releases.close();
  proxy.close();
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
