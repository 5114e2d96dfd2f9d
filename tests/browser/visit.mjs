// Opens pages in a headless Chromium and says what a visitor would find there.
//
//     node visit.mjs CHROMIUM PROFILE < visits.json > found.json
//
// A visit is { url, authorization?, width, dark, script, picture? }; what is found of it is
// { status, title, elements, outside, violations, overflow, faint, unlabelled, landmarks, pwned }.
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const [chromium, profile] = process.argv.slice(2);
const visits = JSON.parse(readFileSync(0, "utf8"));
const browser = spawn(
  chromium,
  [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    `--user-data-dir=${profile}`, "--remote-debugging-pipe", "about:blank",
  ],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
);
const waiting = new Map();
const listeners = new Set();
let last = 0;
let rest = "";
browser.stdio[4].setEncoding("utf8").on("data", (text) => {
  const messages = (rest + text).split("\0");
  rest = messages.pop();
  for (const message of messages.map((text) => JSON.parse(text))) {
    if (message.id) {
      waiting.get(message.id)(message);
      waiting.delete(message.id);
    } else for (const listener of listeners) listener(message);
  }
});

function ask(method, params = {}, sessionId = undefined) {
  const id = ++last;
  browser.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
  return new Promise((resolve, reject) =>
    waiting.set(id, (answer) =>
      answer.error ? reject(new Error(`${method}: ${answer.error.message}`)) : resolve(answer.result)));
}

// Runs in the page.
function look() {
  const parse = (text) => {
    const parts = text.match(/[\d.]+/g).map(Number);
    return parts.length === 3 ? [...parts, 1] : parts;
  };
  const light = (color) => {
    const [r, g, b] = color.slice(0, 3).map((part) => {
      const value = part / 255;
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let place = element; place; place = place.parentElement) {
      const color = parse(getComputedStyle(place).backgroundColor);
      if (color[3] === 1) return color;
    }
    return [255, 255, 255, 1];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("svg, .skip")) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${walker.currentNode.data.trim().slice(0, 40)}`);
  }
  const unlabelled = [...document.querySelectorAll("input, button, a, svg, nav, form[role]")]
    .filter((element) => {
      const name = element.getAttribute("aria-label") || element.textContent.trim();
      const label = element.id && document.querySelector(`label[for="${element.id}"]`);
      return !name && !label && element.tagName !== "FORM";
    })
    .map((element) => element.outerHTML.slice(0, 200));
  const count = (selector) => document.querySelectorAll(selector).length;
  return {
    title: document.title,
    text: document.body.innerText,
    dangerous: count("script, img, iframe, object, embed, video, audio, base, link, [style], a[href^='javascript' i]") +
      [...document.querySelectorAll("*")].filter((element) =>
        element.getAttributeNames().some((name) => name.startsWith("on"))).length,
    pwned: window.pwned === true,
    overflow: document.documentElement.scrollWidth - window.innerWidth,
    faint,
    unlabelled,
    landmarks: [count("main"), count("h1"), document.documentElement.lang],
    links: [...document.querySelectorAll("a[href]")].map((link) => link.getAttribute("href")),
    background: getComputedStyle(document.body).backgroundColor,
  };
}

async function visit({ url, authorization, width, dark, script, picture }) {
  const { browserContextId } = await ask("Target.createBrowserContext");
  const { targetId } = await ask("Target.createTarget", { url: "about:blank", browserContextId });
  const { sessionId } = await ask("Target.attachToTarget", { targetId, flatten: true });
  const page = (method, params) => ask(method, params, sessionId);
  const found = { url, status: 0, outside: [], violations: [] };
  let loaded;
  const done = new Promise((resolve) => (loaded = resolve));
  const listener = (message) => {
    if (message.sessionId !== sessionId) return;
    const { method, params } = message;
    if (method === "Page.loadEventFired") loaded();
    if (method === "Log.entryAdded") found.violations.push(params.entry.text);
    if (method === "Network.requestWillBeSent" && params.request.url !== url) found.outside.push(params.request.url);
    if (method === "Network.responseReceived" && params.response.url === url) found.status = params.response.status;
  };
  listeners.add(listener);
  for (const domain of ["Page", "Network", "Log", "Runtime"]) await page(`${domain}.enable`);
  await page("Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: 1, mobile: width < 600 });
  await page("Emulation.setEmulatedMedia", {
    features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }],
  });
  await page("Emulation.setScriptExecutionDisabled", { value: !script });
  if (authorization) await page("Network.setExtraHTTPHeaders", { headers: { authorization } });
  await page("Page.navigate", { url });
  await done;
  const result = await page("Runtime.evaluate", { expression: `(${look})()`, returnByValue: true });
  if (result.exceptionDetails) throw new Error(JSON.stringify(result.exceptionDetails));
  Object.assign(found, result.result.value);
  if (picture) {
    const { data } = await page("Page.captureScreenshot", { format: "png", captureBeyondViewport: true });
    writeFileSync(picture, Buffer.from(data, "base64"));
  }
  listeners.delete(listener);
  await ask("Target.disposeBrowserContext", { browserContextId });
  return found;
}

const found = [];
try {
  for (const one of visits) found.push(await visit(one));
  process.stdout.write(JSON.stringify(found));
} finally {
  browser.kill("SIGKILL");
}
