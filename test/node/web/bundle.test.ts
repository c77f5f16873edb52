import { globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { readPageFiles } from "#src/local-mcp/page/page-app.ts";
import { built } from "#harness/web/live-page.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const folder = join(built, "web");
const names = readdirSync(folder).sort();
const read = (name: string): string => readFileSync(join(folder, name), "utf8");
const scripts = names.filter((name) => name.endsWith(".js"));
const html = read("index.html");

/** The scripts of the page, and all that they need before they can run. */
function firstScripts(): string[] {
  const found = [...html.matchAll(/<script [^>]*src="\/([^"]+)">/g)].map(([, name = ""]) => name);
  for (const name of found) found.push(...importsOf(name).filter((one) => !found.includes(one)));
  return found;
}

/** Scripts that one cannot run without. */
function importsOf(name: string): string[] {
  return [...read(name).matchAll(/(?:from|import)"\.\/([^"]+)"/g)].map(([, path = ""]) => path);
}

function bytesOf(some: readonly string[]): number {
  return some.reduce((sum, name) => sum + gzipSync(read(name)).length, 0);
}

it("the first load is at most 30 kB, compressed as a server compresses; what a phone loads beyond it is at most 12 kB, and no schema library", () => {
  const style = names.filter((name) => name.endsWith(".css"));
  expect(bytesOf(["index.html", ...firstScripts(), ...style, "icon.svg"])).toBeLessThanOrEqual(30_000);
  const named = scripts.filter((name) => /^app-(?:start-phone|phone-)/.test(name));
  expect(named).toHaveLength(3);
  const needed = new Set([...named, ...named.flatMap(importsOf)]);
  expect(bytesOf([...needed].filter((name) => !firstScripts().includes(name)))).toBeLessThanOrEqual(12_000);
  for (const name of scripts) expect(read(name)).not.toMatch(/safeParse|ZodError/);
});

it("all files of the page together are at most 110 kB, compressed; a chat can be read before its colours of code are there", () => {
  const bytes = names.reduce((sum, name) => sum + gzipSync(readFileSync(join(folder, name))).length, 0);
  expect(bytes).toBeLessThanOrEqual(110_000);
  const chat = scripts.filter((name) => name.startsWith("app-chat-"));
  const needed = new Set([...chat, ...chat.flatMap(importsOf), ...firstScripts()]);
  expect([chat.length, bytesOf([...needed])]).toEqual([1, expect.toSatisfy((sum: number) => sum <= 50_000)]);
});

/** Asked for again at each load; the service worker must stay at its address. */
const unhashed =
  "_headers icon-maskable.svg icon.png icon.svg index.html manifest.webmanifest worker.js take.html".split(" ");

it("a machine serves every file of the bundle", () => {
  const served = [...readPageFiles(folder).keys()].map((path) => (path === "/" ? "index.html" : path.slice(1)));
  expect(served.sort()).toEqual(names.filter((name) => name !== "_headers"));
});

it("scripts and style are files named by their content, what is needed at first are two scripts, asked for at once, nothing is inline", () => {
  const named = names.filter((name) => !unhashed.includes(name));
  expect(named.filter((name) => !/^app-(?:[a-z-]+-)?[A-Za-z0-9]{8}\.(?:js|css)$/.test(name))).toEqual([]);
  for (const name of firstScripts()) expect(html).toContain(`"/${name}"`);
  expect(firstScripts()).toHaveLength(2);
  expect(html).not.toMatch(/<style|style=|\son[a-z]+=|<script(?![^>]* src=)|javascript:/);
});

it("the page behind the link of a hand-over needs one small script and the style of the live page, and asks for nothing", () => {
  const page = read("take.html");
  const named = [...page.matchAll(/(?:src|href)="\/([^"]+)"/g)].map(([, name = ""]) => name);
  expect(named.join()).toMatch(/^icon\.svg,app-[A-Z0-9]{8}\.css,app-take-[^,]*$/);
  for (const name of named) expect(names).toContain(name);
  const script = read(named.at(-1) ?? "");
  expect(script.length).toBeLessThan(1_500);
  expect(script).not.toMatch(/fetch|XMLHttpRequest|WebSocket|sendBeacon|import/);
  expect(page).not.toMatch(/<style|style=|\son[a-z]+=|<script(?![^>]* src=)|javascript:/);
  const policy = "/*\n  content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'";
  expect(read("_headers")).toContain(policy);
});

it("the bundle names no other host, and has none of the ways to make code or markup of text", () => {
  for (const name of names.filter((one) => one !== "_headers")) {
    const hosts = read(name).match(/(?:https?:)?\/\/[a-z][\w.-]*\.[a-z]+[^\s"'`)]*/g) ?? [];
    // Names of the standards for SVG and MathML, and addresses in errors of two libraries: none is fetched.
    const named = /^http:\/\/www\.w3\.org\/|^https:\/\/github\.com\/(?:markedjs|highlightjs)\//;
    expect(hosts.filter((one) => !named.test(one))).toEqual([]);
  }
  for (const name of scripts)
    expect(read(name)).not.toMatch(/\beval\(|new Function|document\.write|insertAdjacentHTML|outerHTML\s*=/);
});

it("no source of the page renders a text as markup", () => {
  const sources = globSync("src/web/**/*.{ts,tsx}", { cwd: root });
  expect(sources.length).toBeGreaterThan(10);
  for (const path of sources) {
    const source = readFileSync(join(root, path), "utf8");
    expect([path, source]).not.toEqual([path, expect.stringMatching(/dangerouslySetInnerHTML|innerHTML|outerHTML/)]);
  }
});
