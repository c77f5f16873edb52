import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync, chmodSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { seedExperiments } from "#harness/experiments/histories.ts";
import { aCliHome, failed, aSeededHome, ids, type CliHome, printed } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";
import { callAs, fakeBundle, servePage, signIn } from "#harness/web/live-page.ts";
import type { OutputOf } from "#src/contract/operations.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as audit from "#src/machine/sessions/machine-audit.ts";
import { readConfig } from "#src/platform/config-file.ts";

it("settings are listed, read, changed and put back; a wrong key or value is wrong usage, and changes nothing", async () => {
  const home = aCliHome();
  expect(await home.json("team settings set maxConcurrentChats 7")).toEqual({ key: "maxConcurrentChats", value: 7 });
  expect((await home.shim("team settings")).out).toContain("maxConcurrentChats: 7 (default: 100)");
  expect((await home.shim("team settings unset maxConcurrentChats")).code).toBe(0);
  expect((await home.shim("team settings get maxConcurrentChats")).out).toBe("100\n");
  await home.misuses("team settings", [
    ["get maxChats", /no setting "maxChats"[^]*maxConcurrentChats/],
    ["set maxConcurrentChats 0", /maxConcurrentChats/],
    ["set maxConcurrentChats many", /the value is not JSON/],
    ["unset nothing", /no setting "nothing"/],
    ["get budgets", /no setting "budgets"/],
  ]);
  expect((await home.shim("team settings")).out).not.toContain("default:");
});

it("the audit log is filtered, and read page by page", async () => {
  const home = aCliHome();
  for (let at = 0; at < 3; at++) await home.shim("team settings set maxKeys", String(1_000 + at));
  home.now += 3_600_000;
  await home.shim("team settings set chatTtlMs 40000");
  const { entries, cursor } = (await home.json("call audit.list subject=maxKeys limit=2")) as OutputOf<"audit.list">;
  expect([entries.length, cursor]).toEqual([2, String(entries[1]?.seq)]);
  const rest = await home.json(`call audit.list subject=maxKeys cursor=${cursor}`);
  expect(rest).toMatchObject({ cursor: null, entries: [{ subject: "maxKeys" }] });
  const recent = await home.json("call audit.list kind=settings.changed maxAgeMs=600000");
  expect(recent["entries"]).toMatchObject([{ subject: "chatTtlMs" }]);
  expect(await home.codes("call audit.list actor=none", "call audit.list maxAgeMs=soon")).toEqual([0, 2]);
});

it("settings are read whole or one by one, with defaults for what is not set; values and keys that are not valid are refused, and nothing is written", async () => {
  const home = aCliHome();
  expect((await home.shim("config path")).out).toBe(`${home.paths.config}\n`);
  const config = { recovery: "brief", checkpoint: { everyToolCalls: 10 } };
  expect(await home.json("config")).toMatchObject({ config });
  expect((await home.shim("config get recovery")).out).toBe("brief\n");
  const value = { contextFill: 0.75, sinceCheckpointMs: 480_000, memory: 0.8 };
  expect(await home.json("config get risk.thresholds")).toEqual({ key: "risk.thresholds", value });
  expect(await home.shim("config get risk.threshold")).toMatchObject(failed(2, "risk.thresholds.memory"));
  expect(await home.shim("config get usage.price")).toMatchObject(failed(2, "Did you mean usage.prices?"));
  expect((await home.shim("config get recovery.x")).code).toBe(2);
  const wrong = ["recovery maybe", "risk.thresholds.memory 2", "checkpoint.everyToolCalls -1", "nonsense 1"];
  for (const change of [...wrong, "risk.threshold.memory 1"])
    expect([change, (await home.shim(`config set ${change}`)).code]).toEqual([change, 2]);
  expect(existsSync(home.paths.config)).toBe(false);
});

it("a change keeps comments and other keys, and the file is private", async () => {
  const home = aCliHome();
  write(home.paths.home, { "config.json": '{\n  // mine\n  "recovery": "ask", // for now\n}\n' });
  expect((await home.shim("config set recovery resume")).out).toBe('recovery is "resume"\n');
  expect(readFileSync(home.paths.config, "utf8")).toBe('{\n  // mine\n  "recovery": "resume", // for now\n}\n');
  await home.shim("config set checkpoint.beforeTools", '["Bash", "mcp__*"]');
  expect(await home.json("config get checkpoint.beforeTools")).toMatchObject({ value: ["Bash", "mcp__*"] });
  expect((await home.shim("config unset recovery")).out).toBe('recovery is "brief"\n');
  expect(readFileSync(home.paths.config, "utf8")).toContain("// mine");
  const fresh = aCliHome();
  expect((await fresh.shim("config set risk.thresholds.memory 0.5")).code).toBe(0);
  expect(JSON.parse(readFileSync(fresh.paths.config, "utf8"))).toEqual({ risk: { thresholds: { memory: 0.5 } } });
  expect(statSync(fresh.paths.config).mode & 0o777).toBe(0o600);
  expect(statSync(fresh.paths.home).mode & 0o777).toBe(0o700);
});

it("a link to a file elsewhere stays a link; a folder instead of it is an error", async () => {
  const home = aCliHome();
  mkdirSync(home.paths.home, { mode: 0o700 });
  const real = join(home.folder, "dotfiles.json");
  writeFileSync(real, "{}");
  symlinkSync(real, home.paths.config);
  await home.shim("config set recovery ask");
  expect(JSON.parse(readFileSync(real, "utf8"))).toEqual({ recovery: "ask" });
  const odd = aCliHome();
  mkdirSync(odd.paths.config, { recursive: true });
  expect((await odd.shim("config set recovery ask")).code).toBe(1);
});

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
    [ruleOf(home, [{ client: "cursor" }]), "atLimit.0.order.0"],
    [ruleOf(home, [{ client: "claude-code" }]), "Claude Code is the client at its limit"],
    [ruleOf(home, [{ model: "gpt-5" }]), '"gpt-5" is no model of Claude Code'],
    [ruleOf(home, ["wait", { client: "codex" }]), "atLimit.0.order: nothing comes after `wait`"],
    [ruleOf(home, [{ client: "codex" }], { mostUsd: 5 }), "atLimit.0.mostHours must be of type number"],
    [ruleOf({ ...home, project: "app" }, ["wait"]), "atLimit.0.folder: a rule names an absolute folder"],
    [ruleOf(home, "never"), "atLimit.0.order must be of type array"],
  ] as const)
    expect([value, await set(value)]).toMatchObject([value, failed(2, why)]);
  expect((await home.json("config get atLimit"))["value"]).toEqual([]);
  const order = [{ model: "haiku" }, { client: "codex", args: ["--sandbox", "workspace-write"] }, "wait"];
  expect(await set(ruleOf(home, order))).toMatchObject({ code: 0 });
  expect((await home.shim("config set atLimit", ruleOf(home, "off", {}))).code).toBe(0);
  await set(ruleOf(home, order));
  expect((await home.shim("doctor")).out).toContain("warn  at_limit: the ceiling of money");
  home.runtime.env["PATH"] = "/nowhere";
  expect((await home.shim("doctor")).out).toContain("fail  at_limit: the rule of");
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

function count(home: CliHome, table: string): number {
  return home.runtime.store.read((sql) => sql.all<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)[0]?.n ?? 0, 0);
}

it("a setting that no experiment changes, a step too far and a value that is none are wrong usage, with what to do; a trial that could not end on this machine is refused, with its figures and what to do instead", async () => {
  const home = aSeededHome();
  await home.misuses("experiment start", [
    ["team.strictFiles 1", /never changed by experiments.*checkpoint\.everyMs/s],
    ["checkpoint.everyMs 10", "between 30000 and"],
    ["checkpoint.everyMs 100000", "factor of 1.5"],
    ["checkpoint.everyToolCalls 8.5", "is a whole number"],
    ["checkpoint.everyToolCalls 10", "is 10 already"],
    ["checkpoint.everyMs soon", ""],
  ]);
  const figures = "an answer needs about 20 recorded chats, and there are 4: at your pace 16 weeks more.";
  const refused = failed(1, "nothing was started", figures, "shim config set checkpoint.everyMs 250000");
  expect(await home.shim("experiment start checkpoint.everyMs 250000")).toMatchObject(refused);
  expect(count(home, "experiments")).toBe(0);
});

it("a dry run of the review changes nothing; a run writes the report of the last week once @night", async () => {
  const home = aSeededHome();
  const reports = join(home.paths.home, "reports");
  const stored = (): number[] => ["meta", "metric_totals", "experiments", "notices"].map((table) => count(home, table));
  const before = stored();
  expect(await home.shim("report run --dry-run")).toMatchObject(printed("0 better values found.", "kaizen apply"));
  expect(stored()).toEqual(before);
  expect(existsSync(reports)).toBe(false);
  expect((await home.shim("report run")).out).not.toContain("Report");
  home.now += 7 * 86_400_000;
  expect(await home.shim("report run")).toMatchObject(printed("Report: ", reports));
  expect((await home.shim("report run")).out).not.toContain("Report");
  expect(count(home, "experiments")).toBe(0);
  expect(readConfig(home.paths.config).ok).toBe(true);
});

it("experiments are ended from the page once each, with an entry in the audit log", async () => {
  const home = aSeededHome();
  fakeBundle(home);
  const page = await servePage(home);
  const authorization = await signIn(page);
  const { running, ended } = seedExperiments(home.runtime);
  const twice = async (name: string, input: object, requestId: string) => {
    const run = () => callAs(page, authorization, { name, input, requestId });
    await run();
    return (await run()).value;
  };
  const hasEnded = { error: { code: "ended", message: expect.any(String) } };
  expect(await twice("experiments.stop", { experiment: ended }, "r0")).toMatchObject(hasEnded);
  expect(await twice("experiments.stop", { experiment: running }, "r1")).toMatchObject({ stopped: [{ id: running }] });
  await twice("experiments.stop", { all: true }, "r4");
  const entries = audit.listNewest(home.runtime, 20).filter(({ actor }) => actor === "live page");
  const told = [`experiment.stopped: ${running}`];
  expect(entries.map(({ kind, subject }) => `${kind}: ${subject}`)).toEqual(told);
});
