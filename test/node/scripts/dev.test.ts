import { servedInTest } from "#harness/edge/real-server.ts";
import { createServer } from "node:net";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { expect, it, vi } from "vitest";
import { unstable_readConfig } from "wrangler";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { isThere } from "../../../scripts/deploy-answers.ts";
import { keepRunning, type Kept } from "../../../scripts/keep-running.ts";
import { lock, makePrivate, secretsIn } from "../../../scripts/dev-folder.ts";
import { declared } from "../../../scripts/local-runtime.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const modeOf = (...path: string[]): number => statSync(join(...path)).mode & 0o777;

/** A file that all may read. */
function wide(text: string, ...path: string[]): string {
  const file = join(...path);
  writeFileSync(file, text);
  chmodSync(file, 0o644);
  return file;
}

it("what was there with wider modes is readable by its user only; what a link leads to is left alone", () => {
  const folder = temporaryFolder();
  const objects = join(folder, ".wrangler", "state", "v3", "do");
  mkdirSync(objects, { recursive: true });
  for (const path of [folder, join(folder, ".wrangler"), objects]) chmodSync(path, 0o755);
  wide("rows", objects, "one.sqlite");
  const elsewhere = wide("of another program", folder, "elsewhere");
  symlinkSync(elsewhere, join(objects, "link"));
  makePrivate(join(folder, ".wrangler"));
  expect([modeOf(folder, ".wrangler"), modeOf(objects), modeOf(objects, "one.sqlite")]).toEqual([0o700, 0o700, 0o600]);
  expect([modeOf(elsewhere), modeOf(folder)]).toEqual([0o644, 0o755]);
  makePrivate(join(folder, "new"));
  expect(modeOf(folder, "new")).toBe(0o700);
});

it("secrets that are missing are made and added; those that are there stay", () => {
  vi.spyOn(console, "error").mockReturnValue();
  const path = join(temporaryFolder(), ".dev.vars");
  const first = secretsIn(path);
  expect(modeOf(path)).toBe(0o600);
  expect(Object.values(first).map(({ length }) => length)).toEqual([43, 43]);
  expect(secretsIn(path)).toEqual(first);
  const own = "of-my-own-and-long-enough-to-be-one";
  wide(`# mine\nSHIM_ADMIN_SECRET="${own}"\nSHIM_SIGNING_SECRET=\nOTHER=1`, path);
  const second = secretsIn(path);
  expect(second.SHIM_ADMIN_SECRET).toBe(own);
  expect(second.SHIM_SIGNING_SECRET).toHaveLength(43);
  expect(parseEnv(readFileSync(path, "utf8"))).toEqual({ ...second, OTHER: "1" });
  expect(modeOf(path)).toBe(0o600);
});

it("a secret that could be guessed is refused with what to do, and nothing is written", () => {
  const path = wide("SHIM_ADMIN_SECRET=hunter2\n", temporaryFolder(), ".dev.vars");
  const refusal = `SHIM_ADMIN_SECRET has 7 characters; at least 32 are needed. Delete its line in ${path}: `;
  expect(() => secretsIn(path)).toThrow(refusal);
  expect(readFileSync(path, "utf8")).toBe("SHIM_ADMIN_SECRET=hunter2\n");
});

it("`npm run deploy` with a secret that could be guessed deploys nothing", () => {
  const env = { PATH: "", SHIM_ADMIN_SECRET: "hunter2" };
  const ran = spawnSync(process.execPath, [join(root, "scripts", "deploy.ts")], { env, encoding: "utf8" });
  expect([ran.status, ran.stdout]).toEqual([1, ""]);
  expect(ran.stderr).toMatch(/^SHIM_ADMIN_SECRET has 7 characters; at least 32 are needed\. Nothing was deployed/);
});

it("a deployment makes what is not there, and nothing where Cloudflare does not say what is there", () => {
  const absent = /Queue ".*" does not exist/;
  expect(isThere({ status: 0, output: "Queue Name: shim-dispatch" }, absent)).toBe(true);
  expect(isThere({ status: 1, output: 'Queue "shim-dispatch" does not exist.' }, absent)).toBe(false);
  for (const [output, advice] of [
    ["More than one account available but unable to select one", "CLOUDFLARE_ACCOUNT_ID=<id> npm run deploy"],
    ["A request to the Cloudflare API failed. Internal error [code: 500]", "run `npm run deploy` again"],
    ["You are not authenticated", "npx wrangler login"],
  ] as const)
    expect(() => isThere({ status: 1, output }, absent)).toThrow(advice);
  expect(() => isThere({ status: null, output: "" }, absent)).toThrow("Cloudflare did not say");
});

it("a folder is locked by one process, until it is released or that process is killed @night", () => {
  const folder = temporaryFolder();
  const script = `
    import { lock } from ${JSON.stringify(join(root, "scripts", "dev-folder.ts"))};
    try { lock(${JSON.stringify(folder)}); console.log("locked"); } catch (error) { console.log(error.message); }
    process.kill(process.pid, "SIGKILL");`;
  const another = (): string =>
    spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }).stdout;
  expect([another(), another()]).toEqual(["locked\n", "locked\n"]);
  const release = lock(folder);
  expect(another()).toContain(`Another \`npm run dev\` uses ${folder}, which is made for one.`);
  release();
  expect(another()).toBe("locked\n");
  expect(modeOf(folder, "dev.lock")).toBe(0o600);
});

function devOn(port: string): { status: number | null; stderr: string } {
  const env = { ...process.env, SHIM_DEV_PORT: port, SHIM_DEV_FOLDER: temporaryFolder() };
  return spawnSync(process.execPath, [join(root, "scripts", "dev.ts")], { env, encoding: "utf8" });
}

it("`npm run dev` on a port that is in use names SHIM_DEV_PORT with another port @night", async () => {
  const { port } = new URL(await servedInTest(createServer()));
  const { status, stderr } = devOn(port);
  expect(stderr).toContain(`Port ${port} is in use`);
  expect([status, stderr.includes(`SHIM_DEV_PORT=${Number(port) + 1} npm run dev`)]).toEqual([1, true]);
  expect(devOn("soon").stderr).toContain("SHIM_DEV_PORT must be a port");
});

it("the coordinator on this machine has the bindings, the queues, the limits and the date of wrangler.toml", () => {
  const config = unstable_readConfig({ config: join(root, "wrangler.toml") });
  const classes = Object.entries(declared.durableObjects);
  const { "shim-dispatch": first, "shim-dispatch-dead": dead } = declared.queueConsumers;
  const batch = ({ maxBatchSize, maxBatchTimeout }: typeof first | typeof dead) => ({
    max_batch_size: maxBatchSize,
    max_batch_timeout: maxBatchTimeout,
  });
  const retries = { max_retries: first.maxRetries, dead_letter_queue: first.deadLetterQueue };
  const { RATE_LIMITER: all, AUTH_FAILURE_LIMITER: failures } = declared.ratelimits;
  expect(config).toMatchObject({
    name: declared.name,
    compatibility_date: declared.compatibilityDate,
    compatibility_flags: declared.compatibilityFlags,
    durable_objects: { bindings: classes.map(([name, { className }]) => ({ name, class_name: className })) },
    migrations: classes.map(([, { className }]) => ({ new_sqlite_classes: [className] })),
    queues: {
      producers: [{ binding: "DISPATCH", queue: declared.queueProducers.DISPATCH }],
      consumers: [
        { queue: "shim-dispatch", ...batch(first), ...retries },
        { queue: "shim-dispatch-dead", ...batch(dead) },
      ],
    },
    ratelimits: [
      { name: "RATE_LIMITER", ...all },
      { name: "AUTH_FAILURE_LIMITER", ...failures },
    ],
  });
  expect(config).toMatchObject({ kv_namespaces: [], d1_databases: [], r2_buckets: [], services: [], vars: {} });
});

/**
 * A runtime whose steps say what it does at each check; after the last one the user ends it.
 *
 * @param steps how long no answer comes in ms, or whether it answers or has died
 */
function aScript(steps: (number | "answers" | "dies")[], { failingStart = 0, everyMs = 1_000 } = {}) {
  const script = { lines: [] as string[], starts: 0, open: 0 };
  const end = new AbortController();
  let now = 1_700_000_000_000;
  let runtime = { restarts: 0 };
  const start = async (): Promise<Kept> => {
    script.starts += 1;
    if (failingStart === script.starts) throw new Error("the port is in use");
    script.open += 1;
    const started = { restarts: 0, url: "http://127.0.0.1:1", close: async () => void (script.open -= 1) };
    runtime = started;
    return started;
  };
  const isAnswering = async (): Promise<boolean> => {
    const step = steps.shift();
    if (step === undefined) end.abort();
    if (step === "dies") runtime.restarts += 1;
    now += typeof step === "number" ? step : everyMs;
    return typeof step !== "number";
  };
  const tell = (line: string): void => void script.lines.push(line);
  const onStart = (url: string): void => tell(`at ${url}`);
  const clock = { everyMs, now: () => now, pause: async () => {}, signal: end.signal };
  return Object.assign(script, { run: () => keepRunning({ start, isAnswering, onStart, tell, ...clock }) });
}

it("a runtime that answers is left alone until the user ends it", async () => {
  const late = 19_000;
  const script = aScript(["answers", late, "answers", late, late, "answers", 1_000, 1_000, 1_000, 1_000]);
  await script.run();
  expect([script.starts, script.open, script.lines]).toEqual([1, 0, ["at http://127.0.0.1:1"]]);
});

it("a runtime that does not answer for 20 seconds is closed and started again", async () => {
  const script = aScript([10_000, 10_000, 10_000, "answers"]);
  await script.run();
  expect([script.starts, script.open]).toEqual([2, 0]);
  expect(script.lines[1]).toMatch(/^The runtime no longer answers; it is started again with the same state/);
});

it("each crash is reported once; the fifth within 15 minutes ends it, with the reason; older ones do not count", async () => {
  const crashes = Array.from({ length: 9 }, () => "dies" as const);
  const looping = aScript([...crashes]);
  const fifth = /^The runtime has ended unexpectedly\. That was crash 5 within 15 minutes/;
  await expect(looping.run()).rejects.toThrow(fifth);
  const ended = "The runtime has ended unexpectedly; it is started again with the same state";
  const lines = [1, 2, 3, 4].map((crash) => `${ended} (crash ${crash} of at most 4 within 15 minutes).`);
  expect([looping.starts, looping.open, looping.lines.slice(1)]).toEqual([1, 0, lines]);
  const rare = aScript([...crashes], { everyMs: 300_000 });
  await rare.run();
  expect(rare.lines).toHaveLength(10);
});

it("a start that fails is tried again, but for the first one", async () => {
  const script = aScript([10_000, 10_000, 10_000, "answers"], { failingStart: 2 });
  await script.run();
  expect([script.starts, script.open]).toEqual([3, 0]);
  expect(script.lines[2]).toMatch(/^The runtime cannot be started: the port is in use; it is started again/);
  const never = aScript([], { failingStart: 1 });
  await expect(never.run()).rejects.toThrow("the port is in use");
  expect([never.starts, never.open]).toEqual([1, 0]);
});
