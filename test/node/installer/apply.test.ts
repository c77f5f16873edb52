import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { forAll } from "#harness/properties.ts";
import { apply } from "#src/installer/apply.ts";
import { writeAtomically } from "#src/platform/private-files.ts";
import type { Plan } from "#src/installer/file-edits.ts";
import { renderPlan } from "#src/installer/setup-overview.ts";
import { given } from "#harness/coordinator/peers.ts";
import { aClientHome, anInstalledHome, launch, type ClientHome } from "#harness/machine/client-home.ts";
import { T0 } from "#harness/machine/git-project.ts";
import * as fc from "fast-check";
import { json, formatOf, listIn, objectIn, update, type Settings } from "#src/installer/settings.ts";

const besides = ({ settings }: ClientHome): string[] => fs.readdirSync(dirname(settings));
const mode = (path: string): number => fs.statSync(path).mode & 0o777;
const contents = (home: ClientHome): (string | null)[] => [home.servers, home.settings].map((path) => home.read(path));
const carryOut = (home: ClientHome, plan: Plan): ReturnType<typeof apply> => apply(plan, home.backups, T0);

it("keeps a copy of each file before it changes it, for the user alone, and the mode of a file, and leaves no other file behind", () => {
  const home = aClientHome();
  home.write(home.servers, '{ "token": "secret" }');
  fs.chmodSync(home.servers, 0o644);
  const backup = given(carryOut(home, given(home.planInstall(home.code)))) ?? "";
  expect(fs.readFileSync(join(backup, "0.json"), "utf8")).toBe('{ "token": "secret" }');
  const manifest: unknown = JSON.parse(fs.readFileSync(join(backup, "manifest.json"), "utf8"));
  const files = [{ path: home.servers, before: { copy: "0.json" } }, { before: null }];
  expect(manifest).toMatchObject({ action: "install", client: "claude-code", files });
  expect([home.backups, backup, join(backup, "0.json")].map(mode)).toEqual([0o700, 0o700, 0o600]);
  expect([mode(home.servers), mode(home.settings)]).toEqual([0o644, 0o600]);
  expect(fs.readdirSync(home.folder).toSorted()).toEqual([".claude", ".claude.json", "shim"]);
  expect(besides(home)).toEqual(["settings.json"]);
});

it("a linked file stays a link; what it leads to is changed, and back with its byte order mark", () => {
  const home = aClientHome();
  const file = join(home.folder, "dotfiles", "settings.json");
  home.write(file, '\u{FEFF}{"model": "opus"}');
  const before = home.read(file);
  fs.mkdirSync(dirname(home.settings));
  fs.symlinkSync("../dotfiles/settings.json", home.settings);
  home.install();
  expect(fs.readdirSync(dirname(file))).toEqual(["settings.json"]);
  expect(home.read(file)).toContain("SessionStart");
  home.uninstall();
  expect(fs.lstatSync(home.settings).isSymbolicLink()).toBe(true);
  expect(home.read(file)).toBe(before);
});

it("refuses when a file changed since the plan, and changes none", () => {
  const home = aClientHome();
  home.write(home.settings, "{}");
  const plan = given(home.planInstall(home.code));
  home.write(home.settings, '{"model": "opus"}');
  expect(carryOut(home, plan)).toMatchObject({ ok: false, error: { code: "config_changed", path: home.settings } });
  expect(contents(home)).toEqual([null, '{"model": "opus"}']);
  fs.rmSync(home.settings);
  fs.mkdirSync(home.settings);
  expect(carryOut(home, plan)).toMatchObject({ ok: false, error: { code: "config_unreadable" } });
});

it("refuses a link that leads nowhere, and a folder for backups that cannot be made", () => {
  const home = aClientHome();
  home.write(join(home.folder, "file"), "");
  const plan = given(home.planInstall(home.code));
  const unsaved = apply(plan, join(home.folder, "file", "backups"), T0);
  expect(unsaved).toMatchObject({ ok: false, error: { code: "write_failed" } });
  fs.symlinkSync("gone.json", home.servers);
  expect(carryOut(home, plan)).toMatchObject({ ok: false, error: { code: "config_unreadable", path: home.servers } });
  expect([...contents(home), fs.existsSync(home.backups)]).toEqual([null, null, false]);
});

it("an edit that cannot be written takes back those before it, with the backup", () => {
  const home = aClientHome();
  home.write(home.servers, '{"a": 1}');
  const plan = given(home.planInstall(home.code));
  home.write(join(home.folder, "file"), "in the way of a folder");
  const blocked = { path: join(home.folder, "file", "settings.json"), before: null, after: "{}", summary: [] };
  const refused = carryOut(home, { ...plan, edits: [...plan.edits.slice(0, 1), blocked] });
  expect(refused).toMatchObject({ ok: false, error: { code: "write_failed", path: blocked.path } });
  expect([home.read(home.servers), fs.readdirSync(home.backups)]).toEqual(['{"a": 1}', []]);
});

it("says so when taking back fails too, and keeps the backup then", () => {
  const home = aClientHome();
  home.write(home.servers, "{}");
  const path = join(home.servers, "now", "a-folder.json");
  const edits = ["1", "2"].map((after) => ({ path, before: null, after, summary: [] }));
  const plan = given(home.planInstall(home.code));
  const gone = { path: home.servers, before: "{}", after: null, summary: [] };
  const refused = carryOut(home, { ...plan, edits: [gone, ...edits] });
  const [backup = ""] = fs.readdirSync(home.backups);
  expect(refused).toMatchObject({ ok: false, error: { code: "config_changed" } });
  expect(!refused.ok && refused.error.message).toMatch(/Rolling back the rest failed too[^]*The backup is /);
  expect(!refused.ok && refused.error.message).toContain(`${join(home.backups, backup)}.`);
});

it("two plans of one moment get a backup each, and a plan without edits none", () => {
  const home = aClientHome();
  carryOut(home, given(home.planInstall(home.code)));
  carryOut(home, given(home.planInstall(home.desktop)));
  expect(given(carryOut(home, given(home.planInstall(home.code))))).toBeNull();
  expect(fs.readdirSync(home.backups)).toEqual(["2023-11-14T22-13-20.000Z-000", "2023-11-14T22-13-20.000Z-001"]);
});

function stop(): void {
  throw new Error("stopped");
}

it("a write that is stopped leaves the file as it was and no other file", () => {
  const home = aClientHome();
  home.write(home.settings, "old");
  expect(() => writeAtomically(home.settings, "new", { mode: 0o600, check: stop })).toThrow("stopped");
  expect([home.read(home.settings), besides(home)]).toEqual(["old", ["settings.json"]]);
  fs.writeFileSync(join(home.folder, ".claude", `.settings.json.shim-${process.pid}.tmp`), "left by a killed process");
  writeAtomically(home.settings, "new", { mode: 0o600 });
  expect(besides(home)).toEqual(["settings.json"]);
});

it("shows a plan as a diff with what it means, without the neighbours' secrets", () => {
  const home = aClientHome();
  const servers = { mcpServers: { other: { command: "x", env: { API_KEY: "sk-abcdefghijklmnop" } } }, last: 1 };
  home.write(home.desktop.serversFile, `${JSON.stringify(servers, null, 2)}\n`);
  const shown = renderPlan(given(home.planInstall(home.desktop)));
  expect(shown).toContain('# adds the MCP server "shim"\n+     },\n+     "shim": {\n');
  expect(shown).not.toContain("sk-");
});

const comments = fc.constantFrom("", "/* note */", '/* { "a": [1, */', '// to the end, "x": {');

/** Any layout of a JSONC text that a person or a program may leave; comments are taken in turn, "" is none. */
const layouts = fc.record({
  unit: fc.constantFrom("  ", "    ", "\t", ""),
  eol: fc.constantFrom("\n", "\r\n"),
  isSpread: fc.boolean(),
  hasTrailingCommas: fc.boolean(),
  comments: fc.oneof(fc.constant([""]), fc.array(comments, { minLength: 1, maxLength: 7 })),
  bom: fc.constantFrom("", "\uFEFF"),
  end: fc.constantFrom("", "\n", "\n\n"),
});

type Layout = typeof layouts extends fc.Arbitrary<infer One> ? One : never;

function layOut(value: unknown, layout: Layout): string {
  const { unit, eol, isSpread, hasTrailingCommas } = layout;
  let turn = 0;
  const comment = (indent: string): string => {
    const text = layout.comments[turn++ % layout.comments.length] ?? "";
    return text.startsWith("//") ? ` ${text}${eol}${indent}` : text && ` ${text}`;
  };
  const print = (part: unknown, indent: string): string => {
    if (typeof part !== "object" || part === null) return JSON.stringify(part);
    const [open, close] = Array.isArray(part) ? "[]" : "{}";
    const deeper = indent + unit;
    const parts = Object.entries(part).map(([key, item]) =>
      Array.isArray(part) ? print(item, deeper) : `${JSON.stringify(key)}:${comment(deeper)} ${print(item, deeper)}`,
    );
    if (parts.length === 0) return `${open}${comment(indent)}${close}`;
    const lines = parts.map((one, at) => {
      const comma = at < parts.length - 1 || hasTrailingCommas ? "," : "";
      return (isSpread ? eol + deeper : "") + comment(indent) + one + comment(indent) + comma + comment(indent);
    });
    return open + lines.join("") + (isSpread ? eol + indent : "") + close;
  };
  return layout.bom + print(value, "") + layout.end.replaceAll("\n", eol);
}

function commentsIn(text: string): string[] {
  const parts = text.matchAll(/"(?:[^"\\]|\\.)*"|(\/\/[^\r\n]*|\/\*[\s\S]*?\*\/)/g);
  return [...parts].flatMap(([, comment]) => comment ?? []);
}

const command = fc.constantFrom("say hi", "node /x/hook.js", "shimmer", "C:\\x\\y.exe 'a b'");
const hooks = fc.array(fc.record({ type: fc.constant("command"), command }), { maxLength: 2 });
const group = fc.oneof(fc.record({ hooks }), fc.record({ matcher: fc.constantFrom("*", "Bash"), hooks }));
const groups = fc.array(group, { maxLength: 2 });
const settings = {
  model: fc.constant("opus"),
  env: fc.dictionary(fc.constantFrom("A", "B"), fc.string(), { maxKeys: 2 }),
  hooks: fc.dictionary(fc.constantFrom("Stop", "PreToolUse", "Notification"), groups, { maxKeys: 3 }),
  statusLine: fc.record({ type: fc.constant("command"), command, padding: fc.nat(3) }),
  permissions: fc.constant({ allow: ["Bash(ls:*)"] }),
};
const servers = {
  projects: fc.constant({ "/p": { allowedTools: [] } }),
  mcpServers: fc.dictionary(fc.constantFrom("memory", "git"), fc.record({ command }), { maxKeys: 2 }),
  numStartups: fc.nat(),
};
const serverTexts = fc.option(fc.tuple(fc.record(servers, { requiredKeys: [] }), layouts));
const settingTexts = fc.option(fc.tuple(fc.record(settings, { requiredKeys: [] }), layouts));

it("install and uninstall give the original bytes, in any layout, and installing twice is installing once @night", () => {
  forAll(40, [serverTexts, settingTexts, fc.nat(2)], (servers, settings, moves) => {
    const home = aClientHome();
    if (servers) home.write(home.servers, layOut(...servers));
    if (settings) home.write(home.settings, layOut(...settings));
    const before = contents(home);
    home.install();
    const installed = contents(home);
    expect(home.install().edits).toEqual([]);
    expect(contents(home)).toEqual(installed);
    for (let i = 0; i < moves; i++) home.install(home.code, { ...launch, script: `/moved${i}/bin/shim.mjs` });
    home.uninstall();
    expect(contents(home)).toEqual(before);
    expect(home.uninstall().edits).toEqual([]);
    fs.rmSync(home.folder, { recursive: true });
  });
});

it("files that SHIM made are deleted, also when another program wrote them and took it back", () => {
  const home = anInstalledHome();
  const changed = json.set(home.read(home.settings) ?? "", ["theUsers"], 1);
  home.write(home.settings, json.remove(changed, ["theUsers"]));
  home.write(home.servers, JSON.stringify(JSON.parse(home.read(home.servers) ?? "")));
  const says = home.uninstall().edits.map(({ summary }) => summary.at(-1)?.says);
  expect(contents(home)).toEqual([null, null]);
  expect(says).toEqual(Array(2).fill("deletes the file, which SHIM made"));
});

it("what the user changed between two installs stays, and all of SHIM goes", () => {
  const home = aClientHome();
  home.install(home.code, { ...launch, script: "/old/bin/shim.mjs" });
  home.write(home.settings, json.set(home.read(home.settings) ?? "", ["theUsers"], 1));
  home.install();
  home.uninstall();
  expect(json.read(home.read(home.settings) ?? "")).toEqual({ theUsers: 1 });
  // Emptied by the user: SHIM has nothing in it any more.
  const other = anInstalledHome();
  other.write(other.settings, "{}");
  other.uninstall();
  expect(other.read(other.settings)).toBe("{}");
  // One that SHIM has made and deleted before is the user's where it is there again.
  const again = anInstalledHome();
  again.uninstall();
  again.write(again.settings, "{}");
  again.install();
  again.write(again.settings, JSON.stringify(JSON.parse(again.read(again.settings) ?? "")));
  again.uninstall();
  expect(again.read(again.settings)).toBe("{}");
});

it.each([
  ["0.json", '{"evil": 1}'],
  ["0.json", null],
  ["manifest.json", "{"],
  ["manifest.json", "[]"],
])("a damaged or missing backup is not used: %s is %j", (file, text) => {
  const home = aClientHome();
  home.write(home.servers, '{ "a": 1 }');
  home.install(home.desktop);
  home.install();
  for (const path of fs.readdirSync(home.backups).map((name) => join(home.backups, name, file)))
    if (text === null) fs.rmSync(path, { force: true });
    else fs.writeFileSync(path, text);
  home.uninstall();
  expect(home.read(home.servers)).toBe('{ "a": 1 }');
});

it("refuses to touch a file that became unsound, and does nothing where SHIM is not", () => {
  const home = anInstalledHome();
  home.write(home.settings, "{");
  expect(home.planUninstall(home.code)).toMatchObject({ ok: false, error: { code: "config_unsound" } });
  expect(aClientHome().uninstall().edits).toEqual([]);
});

const toml = formatOf("config.toml");
const items = fc.array(fc.oneof(fc.nat(9), fc.record({ name: fc.constantFrom("x", "y") })), { maxLength: 5 });

it("a list loses any of its items and gets new ones, whatever the layout", () => {
  forAll(300, [items, fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), layouts], (list, kept, layout) => {
    const before = layOut({ first: 1, list, last: { a: [] } }, layout);
    const change = (root: Settings): void => {
      const found = listIn(root, "list");
      found.splice(0, Infinity, ...found.filter((_item, at) => kept[at]), { new: [1] });
      objectIn(root, "last")["b"] = true;
    };
    const after = update(json, before, change);
    const rest = list.filter((_item, at) => kept[at]);
    expect(json.findProblem(after)).toBeNull();
    expect(json.read(after)).toEqual({ first: 1, list: [...rest, { new: [1] }], last: { a: [], b: true } });
    expect(commentsIn(before)).toEqual(expect.arrayContaining(commentsIn(after)));
  });
});

function empty(root: Settings): void {
  delete objectIn(objectIn(root, "a"), "b")["c"];
}

it("what a change empties goes, unless it was there before SHIM or has a comment", () => {
  expect(update(json, '{"a": {"b": {"c": 1}}, "d": {}}', empty)).toBe('{"d": {}}');
  expect(update(json, '{"a": {"b": {"c": 1}}}', empty, { a: { b: {} } })).toBe('{"a": {"b": {}}}');
  expect(update(json, '{"a": {"b": {"c": 1}}}', empty, { a: {} })).toBe('{"a": {}}');
  expect(update(json, '{"a": {"b": {"c": 1 /* mine */}}}', empty)).toBe('{"a": {"b": { /* mine */}}}');
  expect(update(toml, "x = 1\n\n[a.b]\nc = 1\n", empty)).toBe("x = 1\n");
});

const keys = fc.constantFrom("a", "b", "hooks", "x y", "mcpServers");
const objects = fc.dictionary(keys, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 });
// JSON has no -0, and __proto__ is no key that a client has.
const clean = (found: unknown): unknown => JSON.parse(JSON.stringify(found).replaceAll("__proto__", "proto"));

it("removing a property or an element keeps every comment and every other value", () => {
  forAll(400, [objects.map(clean), layouts, fc.nat()], (object, layout, pick) => {
    const before = layOut({ list: [1, { two: 2 }, "three"], ...(object as object) }, layout);
    const values = Object.entries(json.read(before));
    const [name = "list"] = values[pick % values.length] ?? [];
    const after = json.remove(before, [name]);
    expect(json.findProblem(after)).toBeNull();
    expect(json.read(after)).toEqual(Object.fromEntries(values.filter(([key]) => key !== name)));
    const shorter = json.remove(before, ["list", pick % 3]);
    const list = [1, { two: 2 }, "three"].filter((_item, at) => at !== pick % 3);
    expect(json.read(shorter)["list"]).toEqual(list);
    if (pick % 3 !== 1) expect(commentsIn(shorter)).toEqual(commentsIn(before));
  });
});

it("taking out what was added gives the text back, where no comments are between", () => {
  forAll(400, [objects.map(clean), layouts], (object, layout) => {
    const before = layOut({ first: 1, ...(object as object) }, { ...layout, comments: [""] });
    expect(json.remove(json.set(before, ["new"], { a: [1] }), ["new"])).toBe(before);
  });
});
