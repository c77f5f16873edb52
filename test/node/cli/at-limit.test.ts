import { chmodSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { aCliHome, aSeededHome, failed, ids, type CliHome } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";
import { callAs, fakeBundle, servePage, signIn } from "#harness/web/live-page.ts";

const ceilings = { mostUsd: 5, mostHours: 8 };

function ruleOf(home: CliHome, order: unknown, more: object = ceilings): string {
  return JSON.stringify([{ folder: home.project, order, ...more }]);
}

function withCodex(home: CliHome): CliHome {
  write(home.folder, { "bin/codex": "#!/bin/sh\n" });
  chmodSync(join(home.folder, "bin", "codex"), 0o755);
  home.runtime.env["PATH"] = join(home.folder, "bin");
  return home;
}

it("a rule that cannot be followed is refused when it is set, and reported by doctor", async () => {
  const home = withCodex(aCliHome());
  const set = (value: string) => home.shim("config set atLimit", value);
  for (const [value, why] of [
    [ruleOf(home, [{ client: "qwen" }]), "Qwen Code is not installed: there is no program qwen"],
    [ruleOf(home, [{ client: "cursor" }]), "atLimit"],
    [ruleOf(home, [{ client: "claude-code" }]), "Claude Code is the client at its limit"],
    [ruleOf(home, [{ model: "gpt-5" }]), '"gpt-5" is no model of Claude Code'],
    [ruleOf(home, ["wait", { client: "codex" }]), "atLimit"],
    [ruleOf(home, [{ client: "codex" }], { mostUsd: 5 }), "atLimit"],
    [ruleOf({ ...home, project: "app" }, ["wait"]), "atLimit"],
    [ruleOf(home, "never"), "atLimit"],
  ] as const) {
    const { code, err } = await set(value);
    expect([code, err]).toEqual([2, expect.stringContaining(why)]);
  }
  expect((await home.json("config get atLimit"))["value"]).toEqual([]);
  const order = [{ model: "haiku" }, { client: "codex", args: ["--sandbox", "workspace-write"] }, "wait"];
  expect(await set(ruleOf(home, order))).toMatchObject({ code: 0 });
  expect((await home.shim("config set atLimit", ruleOf(home, "off", {}))).code).toBe(0);
  await set(ruleOf(home, order));
  expect((await home.shim("doctor")).out).toContain("warn  at_limit: the ceiling of money");
  home.runtime.env["PATH"] = "/nowhere";
  expect((await home.shim("doctor")).out).toContain("fail  at_limit: the rule of");
});

it("the page shows the rule at a session at its usage limit, and pauses its project", async () => {
  const home = withCodex(aSeededHome());
  const rule = { folder: home.project, order: [{ client: "codex" }, "wait"], ...ceilings };
  Object.assign(home.runtime.config, { atLimit: [rule] });
  const { store } = home.runtime;
  store.write((sql) => {
    const failure = { kind: "failure", text: "usage limit", limit: { resetsAtMs: null } } as const;
    journal.append(sql, ids.dead, home.now, "f", failure);
  });
  const project = store.read((sql) => sessions.get(sql, ids.dead)?.project, null);
  fakeBundle(home);
  const page = await servePage(home);
  const authorization = await signIn(page);
  const atLimit = async (session: string): Promise<unknown> =>
    (await callAs(page, authorization, { name: "page.session", input: { session } })).value["atLimit"];
  expect(await atLimit(ids.alive)).toBeNull();
  const text = `At its usage limit. The rule of ${home.project}: Codex, then wait; at most 5.00 USD and 8 h; 0.00 USD spent for this limit so far.`;
  expect(await atLimit(ids.dead)).toEqual({ text, project });
  store.write((sql) => sql.run("UPDATE sessions SET client = 'qwen' WHERE id = ?", ids.dead));
  const line = `Go on now: \`shim resume ${ids.dead.slice(0, 8)} --in codex\``;
  expect(await atLimit(ids.dead)).toEqual({ text: `At its usage limit: ${line}`, project: null });
  const paused = await callAs(page, authorization, { name: "pauses.start", input: { project }, requestId: "p1" });
  expect(paused).toMatchObject({ status: 200, value: { started: { project } } });
});

it("a chat that is open at its limit continues in another client, and not in its own", async () => {
  const home = aSeededHome();
  const terminal = { isTty: true, isInteractive: true };
  expect(await home.shimWith(terminal, `resume --in codex ${ids.alive}`)).toMatchObject(failed(1, "still running"));
  home.runtime.store.write((sql) => {
    const failure = { kind: "failure", text: "usage limit", limit: { resetsAtMs: null } } as const;
    journal.append(sql, ids.alive, home.now, "f", failure);
  });
  expect(await home.shimWith(terminal, `resume ${ids.alive}`)).toMatchObject(failed(1, "still running"));
  expect((await home.shimWith(terminal, `resume --in codex ${ids.alive}`)).code).toBe(0);
  expect(home.started).toMatchObject([{ command: "codex" }]);
});
