import { build } from "esbuild";
import { expect, it } from "vitest";
import type { MachineTrial } from "#src/contract/trials.ts";
import { toUnit } from "#src/machine/sessions/session-settings.ts";
import * as pauses from "#src/store/pause.ts";
import * as notices from "#src/store/notices.ts";
import { pastChats } from "#harness/experiments/past-chats.ts";
import { startTrial, stopAll } from "#harness/experiments/trials.ts";
import { aServiceRuntime, type ServiceRuntime } from "#harness/experiments/service-rig.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import type { TempRuntime } from "#harness/machine/temp-runtime.ts";

const key = "checkpoint.everyMs";

function started(runtime: TempRuntime): MachineTrial {
  pastChats(runtime);
  return startTrial(runtime, key, 250_000);
}

let count = 0;

function aChat(runtime: TempRuntime, source = "startup"): Claude {
  const session = `${String((count += 1)).padStart(8, "0")}-04b4-4fe0-bbd5-6aa531354563`;
  const claude = new Claude(runtime, { cwd: aProject(), session, pid: 20_000 + count });
  claude.start(source);
  return claude;
}

function armsOf(runtime: TempRuntime): (readonly [string, string])[] {
  const rows = runtime.store.read(
    (sql) => sql.all<{ unit: string; arm: string }>("SELECT unit, arm FROM exposures ORDER BY seq"),
    [],
  );
  return rows.map(({ unit, arm }) => [unit, arm] as const);
}

function noticesOf(runtime: TempRuntime): string[] {
  return runtime.store.read((sql) => notices.list(sql), []).map(({ text }) => text);
}

const all = (arm: string): string => `answer({ arms: request.work.trials.map(() => "${arm}"), problems: [] });`;

function asked(runtime: ServiceRuntime): number {
  return runtime.requests().length;
}

it("by default SHIM assigns, starts no process, and no hook has an adapter @night", async () => {
  const runtime = aServiceRuntime({});
  started(runtime);
  for (let chats = 0; chats < 20; chats++) aChat(runtime);
  expect(armsOf(runtime)).not.toEqual([]);
  expect([asked(runtime), runtime.logged]).toEqual([0, []]);
  const { metafile } = await build({
    entryPoints: ["src/local-mcp/events/hook-entry.ts"],
    bundle: true,
    platform: "node",
    write: false,
    metafile: true,
    external: ["better-sqlite3"],
    outfile: "hook.cjs",
  });
  const adapters = Object.keys(metafile.inputs).filter((path) => /assignment\/statsig|@statsig/.test(path));
  expect(adapters).toEqual([]);
});

it("a service is asked once, for a session that begins while a trial runs, and its arm is stored @night", () => {
  const runtime = aServiceRuntime({ provider: "statsig" });
  runtime.serve(all("treatment"));
  aChat(runtime);
  expect(asked(runtime)).toBe(0);
  const { id, salt, provider } = started(runtime);
  expect(provider).toBe("statsig");
  const chat = aChat(runtime);
  chat.start("compact");
  chat.start("resume");
  expect(asked(runtime)).toBe(1);
  expect(armsOf(runtime)).toEqual([[chat.session, "treatment"]]);
  const [request] = runtime.requests();
  expect(request?.work).toEqual({
    kind: "choose",
    trials: [{ name: key, unit: toUnit(salt, chat.session) }],
  });
  expect(JSON.stringify(request)).not.toContain(chat.session);
  expect(JSON.stringify(request)).not.toContain(id);
});

it("a session that the service does not take, and one of a paused project, are in no trial @night", () => {
  const runtime = aServiceRuntime({ provider: "statsig" });
  started(runtime);
  runtime.serve("answer({ arms: [null], problems: [] });");
  aChat(runtime);
  runtime.serve(all("longer"));
  aChat(runtime);
  expect([armsOf(runtime), noticesOf(runtime), asked(runtime)]).toEqual([[], [], 2]);
  runtime.serve(all("treatment"));
  const cwd = aProject();
  runtime.store.write((sql) => pauses.pause(sql, runtime.now(), null, cwd));
  new Claude(runtime, { cwd, session: "10000000-04b4-4fe0-bbd5-6aa531354563", pid: 40_000 }).start();
  expect([armsOf(runtime), asked(runtime)]).toEqual([[], 2]);
});

it.each([
  ["hangs", "while (true);", "no answer within 1600 ms"],
  ["prints rubbish", `console.log("{}"); fs.writeSync(3, "rubbish");`, "ended without an answer"],
  ["dies", "process.kill(process.pid, 'SIGKILL');", "ended without an answer"],
  ["reports a problem", `answer({ arms: [], problems: ["no key"] });`, "no key"],
])("a service that %s leaves the session without an arm, and says so once", (_, program, problem) => {
  const limits = program.startsWith("while") ? { waitMs: 100 } : {};
  const runtime = aServiceRuntime({ provider: "statsig", ...limits });
  started(runtime);
  runtime.serve(program);
  const chat = aChat(runtime);
  chat.prompt("Write the parser");
  expect(armsOf(runtime)).toEqual([]);
  expect(runtime.logged.join()).toContain(problem);
  runtime.serve(`answer({ arms: [], problems: ["no key"] });`);
  aChat(runtime);
  expect(noticesOf(runtime)).toEqual([expect.stringContaining("was not assigned by statsig")]);
  runtime.serve(all("treatment"));
  chat.start("resume");
  expect(armsOf(runtime)).toEqual([]);
});

it("an experiment keeps the provider with which it began; with another one no session is assigned @night", () => {
  const service = aServiceRuntime({ provider: "statsig" });
  service.serve(all("control"));
  started(service);
  const local = aServiceRuntime({}, service);
  aChat(local);
  expect([armsOf(service), asked(local)]).toEqual([[], 0]);
  const mine = aServiceRuntime({});
  started(mine);
  const later = aServiceRuntime({ provider: "statsig" }, mine);
  // Half of the sessions are in the experiment.
  for (let chats = 0; chats < 20; chats++) aChat(later);
  expect([armsOf(mine).length > 0, asked(later)]).toEqual([true, 0]);
});

it("with experiments switched off no service is asked @night", () => {
  const runtime = aServiceRuntime({ provider: "statsig" });
  started(runtime);
  runtime.serve(all("treatment"));
  stopAll(runtime);
  aChat(runtime);
  expect([armsOf(runtime), asked(runtime)]).toEqual([[], 0]);
});
