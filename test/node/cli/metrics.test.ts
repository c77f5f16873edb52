import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { aCliHome, aSeededHome, failed, holding, ids, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { sendRaw } from "#harness/web/live-page.ts";
import { submit, Worker } from "#harness/worker/worker-rig.ts";
import type { OutputOf } from "#src/contract/operations.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { countCost, countResponses } from "#src/machine/sessions/usage/ledger.ts";

function ask(url: string, headers: Record<string, string> = {}, path = "/metrics"): ReturnType<typeof sendRaw> {
  const { host, port } = new URL(url);
  return sendRaw(Number(port), { method: "GET", path, headers: { host, ...headers } });
}

function tokenOf(home: CliHome): string {
  return readFileSync(join(home.paths.home, "metrics-token"), "utf8").trim();
}

/** `work` runs while it listens, then comes Ctrl-C, or what has started it is gone. */
async function whileListening(home: CliHome, work: (url: string, token: string) => Promise<void>, end = "Ctrl-C") {
  const stop = new AbortController();
  let said = "";
  let isDone = false;
  let parent = 2;
  const wait = async (): Promise<void> => {
    if (isDone) throw new Error("it has not ended");
    const [url = ""] = /http:\S+\/metrics/.exec(said) ?? [];
    try {
      await work(url, `Bearer ${tokenOf(home)}`);
      isDone = true;
    } finally {
      if (end === "Ctrl-C" || !isDone) stop.abort();
      else parent = 1;
    }
  };
  const stderr = (text: string): void => void (said += text);
  const io = { interrupted: () => stop.signal, parentPid: () => parent, stderr, wait };
  const { code } = await home.shimWith(io, "doctor metrics --listen 0");
  expect([isDone, said]).toEqual([true, holding("metrics-token")]);
  return code;
}

it("the command prints the metrics of the machine and of its own coordinator as Prometheus text", async () => {
  const home = aSeededHome();
  await submit(home, "build");
  const head = /^# HELP shim_sessions Chats that are alive, by what they do\.\n# TYPE shim_sessions gauge$/m;
  const figures = ["\nshim_sessions_recoverable 2\n", '\nshim_tasks{state="queued"} 1\n'];
  const bucket = 'shim_save_duration_seconds_bucket{le="0.1"}';
  expect(await home.shim("doctor metrics")).toMatchObject(printed(head, ...figures, bucket));
});

it("only an address on loopback can be named, and a busy port is refused with what to do", async () => {
  const home = aCliHome();
  await home.misuses("doctor metrics", [
    ["--listen 0.0.0.0:9746", /must be a port, or 127\.0\.0\.1/],
    ["--listen example.com:80", /must be a port/],
    ["--listen 65536", /must be a port/],
    ["--listen -1", /must be a port/],
  ]);
  const busy = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void busy.close());
  await once(busy, "listening");
  const { port } = busy.address() as AddressInfo;
  const refused = await home.shim(`doctor metrics --listen 127.0.0.1:${port}`);
  expect(refused).toMatchObject(failed(1, `port ${port} is in use; name another with --listen`));
});

it("it serves the metrics to the holder of the token, by each name of loopback, until Ctrl-C; without the token, with another one, and under another Host, nothing is answered", async () => {
  let served = "";
  const code = await whileListening(aSeededHome(), async (url, authorization) => {
    served = url;
    const { port } = new URL(url);
    const type = "text/plain; version=0.0.4; charset=utf-8";
    const text = holding("\nshim_sessions_recoverable 2\n");
    for (const name of ["127.0.0.1", "localhost", "[::1]"]) {
      const answer = await ask(url, { authorization, host: `${name}:${port}` });
      expect(answer).toMatchObject({ status: 200, headers: { "content-type": type }, text });
    }
    expect((await ask(url, { authorization }, "/metrics?name=x")).status).toBe(200);
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1", "127.0.0.1:1", `127.0.0.1.nip.io:${port}`])
      expect([host, await ask(url, { authorization, host })]).toMatchObject([host, { status: 421 }]);
    const others = [authorization.slice(0, -1), authorization.replace("Bearer", "Basic"), authorization.slice(7)];
    const wrong = ["", "Bearer ", `${authorization}x`, ...others].map((one) => ({ authorization: one }));
    for (const headers of [{}, ...wrong]) {
      const answer = await ask(url, headers);
      expect([headers, answer]).toMatchObject([headers, { status: 401, headers: { "www-authenticate": "Bearer" } }]);
      expect(answer.text).not.toContain("shim_");
    }
  });
  expect(code).toBe(0);
  await expect(ask(served)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

it("the token's file is readable by its user only, and the same after a restart; a short one is replaced", async () => {
  const home = aCliHome();
  const tokens: string[] = [];
  const keep = async (): Promise<void> => void tokens.push(tokenOf(home));
  const file = join(home.paths.home, "metrics-token");
  await whileListening(home, keep);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(await whileListening(home, keep, "parent")).toBe(0);
  writeFileSync(file, "short\n");
  await whileListening(home, keep);
  const [first, second] = tokens;
  expect(second).toBe(first);
  for (const token of tokens) expect(token).toMatch(/^[\w-]{43}$/);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

type Shown = OutputOf<"budgets.get">;

async function shown(home: CliHome): Promise<Shown> {
  return (await home.json("team budget")) as Shown;
}

it("limits are set one by one, those that are not named stay, and none takes one away; what is no limit is wrong usage, and changes nothing", async () => {
  const home = aCliHome();
  expect((await shown(home)).limits).toEqual({ task: {}, chat: {}, day: {} });
  const first = "team budget set --day-usd 20 --task-tokens 500000 --chat-minutes 2.5";
  expect(await home.shim(first)).toMatchObject(printed(/^cost +\$0\.00 +\$20\.00 +none +none$/m));
  const limits = { task: { tokens: 500_000, costMicros: 13_200 }, chat: { wallMs: 150_000 }, day: {} };
  expect(await home.json("team budget set --day-usd none --task-usd 0.0132")).toMatchObject({ limits });
  await home.misuses("team budget set", [
    ["", "name a limit"],
    ["--day-usd 0", "above 0"],
    ["--day-usd 0.0000001", "above 0"],
    ["--day-tokens 1e3", "above 0"],
    ["--chat-tokens 9007199254740993", "above 0"],
    ["--week-usd 1", "unknown option"],
  ]);
  expect((await shown(home)).limits).toEqual(limits);
  const rows = [/^cost +\$0\.00 +none +none +\$0\.0132$/m, /^tokens +0 +none +none +500,000$/m];
  expect(await home.shim("team budget")).toMatchObject(printed(...rows, /^time +0 s +none +2 min +none$/m));
});

it("shows what was used, by which chat, and which limit is reached", async () => {
  const home = aCliHome();
  await home.shim("team budget set --day-usd 1 --chat-tokens 900");
  await submit(home, "build");
  new Worker(home).take().used({ tokens: 1_000, costMicros: 1_250_000, wallMs: 150_000 });
  expect(await shown(home)).toMatchObject({
    today: { tokens: 1_000, costMicros: 1_250_000, wallMs: 150_000 },
    isDaySpent: true,
    chats: [{ chat: "w", machine: "m1", used: { tokens: 1_000 }, isSpent: true }],
  });
  const chat = /^w test +m1 +\$1\.25 +1,000 +2 min +limit reached$/m;
  expect(await home.shim("team budget")).toMatchObject(printed("The limit of the day is reached: ", chat));
});

function spend(home: CliHome, id: string, model: string, output: number, costUsd: number | null): void {
  home.runtime.store.write((sql) => {
    const session = sessions.get(sql, id) as sessions.Session;
    const counts = { input: 1_000, cacheRead: 50_000, cacheWrite: 200, output };
    const usage = [{ messageId: `${id}${model}`, requestId: null, model, at: home.now, ...counts }];
    countResponses(sql, session, { usage, subagentUsage: [] }, home.now);
    if (costUsd !== null) countCost(sql, session, costUsd, model, home.now);
  });
}

it("`cost` shows tokens and cost by day, session, project, model and task, with their sum", async () => {
  const home = aSeededHome();
  spend(home, ids.alive, "claude-opus-5-5", 3_000, 1.25);
  home.now += 86_400_000;
  spend(home, ids.elsewhere, "claude-sonnet-5-5", 500, 0.5);
  const table = `DAY         RESPONSES  INPUT  OUTPUT  CACHE READ  CACHE WRITE  COST
2023-11-15  1          1,000  500     50,000      200          $0.50
2023-11-14  1          1,000  3,000   50,000      200          $1.25
total       2          2,000  3,500   100,000     400          $1.75
`;
  expect(await home.shim("cost")).toMatchObject(printed(table));
  for (const [by, row] of [
    ["session", /^aaaa1111 work of aaaa +1 +1,000 .* \$1\.25$/m],
    ["project", /^~\/project +1 .* \$1\.25$/m],
    ["model", /^claude-sonnet-5-5 +1 .* \$0\.50$/m],
    ["task", /^no task +2 .* \$1\.75$/m],
  ] as const)
    expect(await home.shim(`cost --by ${by}`)).toMatchObject(printed(row));
  const recent = { by: "day", total: { responses: 1, clientCostUsd: 0.5 }, lines: [{ key: "2023-11-15" }] };
  expect(await home.json("cost --since 1h")).toMatchObject(recent);
  expect((await home.shim("cost --by week")).code).toBe(2);
  spend(home, ids.finished, "unknown", 10, null);
  const partly = printed(/^unknown .* not known$/m, /^total .* at least \$1\.75$/m);
  expect(await home.shim("cost --by model")).toMatchObject(partly);
});
