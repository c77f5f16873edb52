import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { hookEvents } from "#src/contract/hook-input.ts";
import { aClientHome, contents, launch, type ClientHome } from "#harness/machine/client-home.ts";
import { commentsIn, layOut, layouts } from "#harness/machine/jsonc-texts.ts";
import { remove, set, valueAt } from "#harness/machine/settings-edits.ts";

const command = fc.constantFrom("say hi", "node /x/hook.js", "shimmer", "C:\\x\\y.exe 'a b'");
const group = fc.record(
  {
    matcher: fc.constantFrom("*", "Bash"),
    hooks: fc.array(fc.record({ type: fc.constant("command"), command }), { maxLength: 2 }),
  },
  { requiredKeys: ["hooks"] },
);
const userSettings = fc.record(
  {
    model: fc.constant("opus"),
    env: fc.dictionary(fc.constantFrom("A", "B"), fc.string(), { maxKeys: 2 }),
    hooks: fc.dictionary(fc.constantFrom("Stop", "PreToolUse", "Notification"), fc.array(group, { maxLength: 2 }), {
      maxKeys: 3,
    }),
    statusLine: fc.record({ type: fc.constant("command"), command, padding: fc.nat(3) }),
    permissions: fc.constant({ allow: ["Bash(ls:*)"] }),
  },
  { requiredKeys: [] },
);
const userServers = fc.record(
  {
    projects: fc.constant({ "/p": { allowedTools: [] } }),
    mcpServers: fc.dictionary(fc.constantFrom("memory", "git"), fc.record({ command }), { maxKeys: 2 }),
    numStartups: fc.nat(),
  },
  { requiredKeys: [] },
);
const texts = fc.record({
  servers: fc.option(fc.tuple(userServers, layouts)),
  settings: fc.option(fc.tuple(userSettings, layouts)),
});
type Texts = typeof texts extends fc.Arbitrary<infer T> ? T : never;

function aHomeWith({ servers, settings }: Texts): ClientHome {
  const home = aClientHome();
  if (servers) home.write(home.servers, layOut(...servers));
  if (settings) home.write(home.settings, layOut(...settings));
  return home;
}

it("install and uninstall give the original bytes, in any layout, and installing twice is installing once @night", () => {
  fc.assert(
    fc.property(texts, fc.nat(2), (given, moves) => {
      const home = aHomeWith(given);
      const before = contents(home);
      home.install();
      const installed = contents(home);
      expect(home.install().edits).toEqual([]);
      expect(contents(home)).toEqual(installed);
      for (let i = 0; i < moves; i++) home.install(home.code, { ...launch, script: `/moved${i}/bin/shim.mjs` });
      home.uninstall();
      expect(contents(home)).toEqual(before);
      expect(home.uninstall().edits).toEqual([]);
      rmSync(home.folder, { recursive: true });
    }),
    { numRuns: 40 },
  );
});

it("what the user changed after the install stays, and all of SHIM goes @night", () => {
  fc.assert(
    fc.property(texts, fc.boolean(), (given, hasBackups) => {
      const home = aHomeWith(given);
      home.install();
      for (const path of [home.servers, home.settings])
        home.write(path, set(Buffer.from(home.read(path) ?? "", "latin1").toString(), ["theUsers"], [1]));
      if (!hasBackups) rmSync(home.backups, { recursive: true });
      home.uninstall();
      const [servers = "", settings = ""] = contents(home).map((text) => Buffer.from(text ?? "", "latin1").toString());
      expect(servers + settings).not.toContain("shim.mjs");
      expect(settings).not.toContain("hook.cjs");
      const wanted = { ...given.settings?.[0], theUsers: [1] };
      const found = valueAt(settings, []) as { hooks?: object };
      if (hasBackups) expect(found).toEqual(wanted);
      else expect({ hooks: {}, ...found }).toMatchObject(withoutEmpty(wanted));
      if (given.settings) expect(commentsIn(settings)).toEqual(commentsIn(layOut(...given.settings)));
      expect(valueAt(servers, ["theUsers"])).toEqual([1]);
      rmSync(home.folder, { recursive: true });
    }),
    { numRuns: 40 },
  );
});

/** Without backups an empty container of the user's cannot be told from one that SHIM made. */
function withoutEmpty(value: { hooks?: Record<string, unknown[]> }): object {
  const hooks = Object.entries(value.hooks ?? {}).filter(([event, groups]) => groups.length > 0 || !isShims(event));
  return { ...value, hooks: Object.fromEntries(hooks) as object };
}

function isShims(event: string): boolean {
  return hookEvents.some((known) => known === event);
}

it("files that SHIM made are deleted, also when another program wrote them and took it back", () => {
  const home = aClientHome();
  home.install();
  home.write(home.settings, set(home.read(home.settings) ?? "", ["theUsers"], 1));
  home.write(home.settings, remove(home.read(home.settings) ?? "", ["theUsers"]));
  home.write(home.servers, JSON.stringify(JSON.parse(home.read(home.servers) ?? "")));
  const plan = home.uninstall();
  expect(contents(home)).toEqual([null, null]);
  const made = "deletes the file, which SHIM made";
  expect(plan.edits.map(({ summary }) => summary.map(({ says }) => says))).toEqual([
    ["removes the MCP server", made],
    ["removes the hooks", "removes SHIM's status line", made],
  ]);
});

it("a status line that the user set after the install stays", () => {
  const home = aClientHome();
  home.install();
  home.write(home.settings, set(home.read(home.settings) ?? "", ["statusLine", "command"], "newer"));
  home.uninstall();
  expect(valueAt(home.read(home.settings) ?? "", ["statusLine", "command"])).toBe("newer");
});

it("an older install that the user edited, below a newer one, goes too", () => {
  const home = aClientHome();
  home.install();
  home.write(home.settings, set(home.read(home.settings) ?? "", ["model"], "opus"));
  home.install(home.code, { ...launch, hookScript: "/moved/dist/hook.cjs" });
  home.uninstall();
  expect(home.read(home.settings)).toBe('{\n  "model": "opus"\n}\n');
});

it("a second install after an uninstall gives the bytes that were there between", () => {
  const home = aClientHome();
  home.write(home.settings, "{}");
  home.install();
  home.uninstall();
  home.write(home.settings, '{ "model": "opus" }');
  home.install();
  home.uninstall();
  expect(home.read(home.settings)).toBe('{ "model": "opus" }');
});

it("a damaged or missing backup is not used", () => {
  for (const damage of ["copy", "manifest", "version", "copies"] as const) {
    const home = aClientHome();
    home.write(home.servers, '{ "a": 1 }');
    home.install(home.desktop);
    home.install();
    for (const name of readdirSync(home.backups)) {
      const folder = join(home.backups, name);
      if (damage === "copies") rmSync(join(folder, "0.json"), { force: true });
      if (damage === "copy") writeFileSync(join(folder, "0.json"), '{"evil": 1}');
      if (damage === "manifest") writeFileSync(join(folder, "manifest.json"), "{");
      if (damage === "version") writeFileSync(join(folder, "manifest.json"), "[]");
    }
    home.uninstall();
    expect(home.read(home.servers)).toBe('{ "a": 1 }');
  }
});

it("refuses to touch a file that became unsound, and does nothing where SHIM is not", () => {
  const home = aClientHome();
  home.install();
  home.write(home.settings, "{");
  expect(home.planUninstall(home.code)).toMatchObject({ ok: false, error: { code: "config_unsound" } });
  expect(aClientHome().uninstall().edits).toEqual([]);
});
